"""How a model trains while a technique's wrappers are on: any callable (model, callbacks) -> None;
these come with the house.
"""

from tfcompress.training._distill import Distill
from tfcompress.training._fit import Fit

__all__ = ["Distill", "Fit"]
