"""What of a column of lists is compared."""

from typing import Literal

ListPart = Literal["newest item", "length", "norm"]
