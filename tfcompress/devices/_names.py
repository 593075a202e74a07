"""Devices by name, as the command line and reports call them."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from tfcompress._backend.vela import ACCELERATORS
from tfcompress.core import Device, RecipeError
from tfcompress.devices._browser import Browser
from tfcompress.devices._ethos_u import EthosU
from tfcompress.devices._host import HOSTS, Host
from tfcompress.devices._micro import Micro

_HOSTS = "|".join(HOSTS)
NAMES: dict[str, Callable[[re.Match[str]], Device]] = {
    rf"({_HOSTS})(?:-(\d+)threads)?": lambda match: Host(match[1], int(match[2] or 1)),
    r"micro(?:-(\d+)bytes)?": lambda match: Micro(int(match[1]) if match[1] else None),
    r"ethos-(u\d+-\d+)": lambda match: EthosU(match[1]),
    r"browser(?:-(\d+)threads)?": lambda match: Browser(threads=int(match[1] or 1)),
    r"browser-webgpu": lambda match: Browser("webgpu"),
}
"""What a device's name looks like → the device."""


def names() -> list[str]:
    """The names of all devices, without the options that a name may have."""
    accelerators = (f"ethos-{one}" for one in ACCELERATORS)
    return [*HOSTS, "micro", *accelerators, "browser", "browser-webgpu"]


def by_name(name: str) -> Device:
    """The device that reports call `name`, e.g. `micro`, `ethos-u55-128` or `litert-2threads`.

    Raises:
        RecipeError: for a name that no device has, with the nearest.
    """
    for pattern, build in NAMES.items():
        if match := re.fullmatch(pattern, name):
            return build(match)
    near = get_close_matches(name, names(), 3, 0.4) or names()
    raise RecipeError(f"No device is called {name!r}. Near: {', '.join(near)}.")
