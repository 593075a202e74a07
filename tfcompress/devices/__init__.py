"""Devices: frozen values on which a `.tflite` runs and is measured, one device a file.

They need an interpreter and NumPy, no TensorFlow.
"""

from tfcompress.devices._browser import Browser
from tfcompress.devices._ethos_u import EthosU
from tfcompress.devices._host import Host
from tfcompress.devices._kit import write_kit
from tfcompress.devices._micro import Micro
from tfcompress.devices._names import by_name, names

__all__ = ["Browser", "EthosU", "Host", "Micro", "by_name", "names", "write_kit"]
