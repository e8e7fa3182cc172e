"""stub"""

from typing import Any


class Plan:
    pass


def plan(*a: Any) -> Any:
    return None
