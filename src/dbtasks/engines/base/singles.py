"""Numbers of single precision, which are doubles in Python, with digits that nobody wrote."""

import struct

LARGEST_SINGLE = float.fromhex("0x1.fffffep127")


def nearest_single(value: float) -> float:
    """Return the number of single precision that is nearest. Raises OverflowError."""
    [found] = struct.unpack("<f", struct.pack("<f", value))
    return float(found)


def shortest_single(value: float) -> float:
    """Return the number of the fewest digits that single precision keeps as the same."""
    kept = nearest_single(value)
    return next(
        number
        for digits in range(6, 10)
        if nearest_single(number := float(f"{kept:.{digits}g}")) == kept
    )
