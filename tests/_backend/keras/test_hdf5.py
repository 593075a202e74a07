"""A damaged HDF5 file is one error, also where the library would read it for ever."""

import base64
import zlib

import pytest
import tf_keras

import tfcompress as tfc
from tfcompress._backend.bridge import _hdf5
from tfcompress.core import ModelError

# A Sequential of one Dense as tf_keras writes it, with a word put into its configuration.
ENDLESS = (
    "c-rk+&2JMq6!+w-Lusp4TB!vVn2tE?q1%RTSE_oTLEA1tLQwIssurQFo4Cn{=}dM!=?5s{3OA12_OO>d"
    "BK`ola)$#){seAZkc#cGC$>q_EaiX{|1OU0=jS)i@BK1<$&>Qh@8hGVM*)RxgB+LyG7dSKMYS*H|KhF1"
    "+sC~9FC)hDY;J~+PjdZER$X}e=K4DA9BN1n;R<YEFpMa#U*4eYrWy|5bw-uj32Vr&>>;n-h_MuxrLWv~"
    "ipQ%S*JGf}!*>GwK%(+KiXg7+q6m9oK*mp57F#))+F&brQjmh#V){z_v(5Bv!Rmb!)Q;3MD(T56c8xPV"
    "i9f1gu<g|WvkUaqcOu)-m+h0k?+d&?VE)=aiuDF2e*ySOd|wn)xf%*EB5fQtD?ZvKv8!gZh|}W#%-?b@"
    "={E`@e>ZvDkC8l?0X{rHQ6+#o2!p<PVp&SQh&C_fVXkjJgMsroKM>D=fqACT#XnbmyK&8u5>r`6usFYX"
    "alV*vOKKlIA97A%wC#s`9j-|EgW#cC^&!U0qwb31-a>!3P!N02cjp{8;UhBs&=mq$5n#uG$@pDe(bb^Y"
    "im%aWP0<#NtBs0Brz^Mtn^gL4(DMB`XXzdht;Gjy%q2#{_?Jbx95-Qv>EJf>F(LyItk+RZ8W7tidN0yN"
    "VKXMaCw6kFc6-jztz4sF+~Y}WVlIxL7r-r_j>b_7^)Rv(crkUwBKZufv9}B9{#3~K0tA^KS{PNfJcv7*"
    "NT38HZ#=S?_|$tq{6&o*+0<eix-63BrFqQkRUYGtA4Xw(C-AnzXh(V+{<uWs*ETsh<}vE(HgzGYdpJfB"
    "stGk>h8lQGgZ@NOh*iJ#-;=w62()|{@m-UsNbKo4!`$q}2i<46PGSOPM;L1=znEyZ@3q^YLk=lnNQ9R^"
    "BEbqh5_1FyLX-3@P&-zN@(c5XGM_xcio~M!nE8@2FfcGMFfcGMFc=oxx_)ELV&#eiPEIWd=mivm?yx|%"
    "Yr%BmEH8NR@uLc+&l~{c`<uaVK`)q!!uj(vs+_1Fq<Q*Hcp#I;UHO#C15Mt4dPcRY{Ie#<`%f2!^ZZ2N"
    "S@+i%XmCG`v%+&y*zQ!Gk19NiLab;fB$BWJuLJS^2-9IHd?f4w=Qz(hgYnS^*YJ_yqYfYOumL4UmD4MW"
    "q7o^1VfmQvCGXCvJfp|4L9h3c<cD10IE()TXJwLsoW?79KT8;dN=`ZF`J4l$Z7}_a&*#Yr(fLd!QD}3<"
    "$y&=7)QAz-{|?@FGbt}F&-IrV@%Mh##FC8C$$u|7(|^4B^zqK>r$@W1#o2!@y=%O9`F3Y^wfScMmGO{)"
    "fq{X6!7#j6&h)*ne*Jso=7sJz(8u4IKf2fdY<?qZ0QtTRdjH|sz}&Z``?iSs=L>qgCD`~z`=)g(t$wHe"
    "vG~in)s(Z!Z7hMMlVItP{}E8|fR4}mO$d$"
)


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "model.h5"
    tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)]).save(path)
    return path


def test_a_file_whose_reading_does_not_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_hdf5, "SECONDS", 4.0)
    path = tmp_path / "endless.h5"
    path.write_bytes(zlib.decompress(base64.b85decode(ENDLESS)))
    with pytest.raises(ModelError, match="reading it does not end"):
        tfc.load_model(path)


def test_a_cut_file_is_refused_in_one_line(whole):
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(ModelError, match="damaged HDF5 file") as caught:
        tfc.load_model(whole)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_whole_file_is_read(whole):
    assert tfc.load_model(whole).count_params() == 10


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_waiting_for_a_busy_machine_makes_no_file_damaged(whole, monkeypatch):
    monkeypatch.setattr(_hdf5, "SECONDS", 2.0)
    monkeypatch.setattr(_hdf5, "READ_ALL", "import time; time.sleep(4)\n" + _hdf5.READ_ALL)
    assert tfc.load_model(whole).count_params() == 10
