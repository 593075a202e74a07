"""The reference networks and data sets of the field's papers, in both Kerases."""

from tfcompress.zoo._data import Data, load_data
from tfcompress.zoo._efficientnet import efficientnet
from tfcompress.zoo._mobilenet import mobilenet
from tfcompress.zoo._quantnet import quantnet
from tfcompress.zoo._resnet import resnet
from tfcompress.zoo._student import student
from tfcompress.zoo._vgg import vgg16, vgg19

__all__ = [
    "Data",
    "efficientnet",
    "load_data",
    "mobilenet",
    "quantnet",
    "resnet",
    "student",
    "vgg16",
    "vgg19",
]
