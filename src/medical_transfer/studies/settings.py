"""Settings of a search: values of parameters by full name, as a sampler draws them, as text and as `conf` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from medical_transfer.config.search_space import SEARCHED, Axis, Value, field_of, is_whole
from medical_transfer.studies.inner_session import merged

Setting = Mapping[str, Value]
"""Full name -> value."""
Space = Mapping[str, Axis]

DIGITS = 3
"""Numbers are tried as they can be written down: no rate is better known."""


def distributions(space: Space) -> dict[str, Any]:
    """The space in the words of Optuna."""
    from optuna.distributions import (  # noqa: PLC0415 - an extra
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    def of(name: str, axis: Axis) -> Any:
        if axis.choices is not None:
            return CategoricalDistribution(axis.choices)
        assert axis.low is not None
        assert axis.high is not None
        if is_whole(field_of(name)):
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        return FloatDistribution(float(axis.low), float(axis.high), log=axis.log)

    return {name: of(name, axis) for name, axis in space.items()}


def settled(drawn: Setting, space: Space) -> dict[str, Value]:
    """What is tried of what was drawn: numbers with three digits, inside their range."""
    return {name: _rounded(drawn[name], axis) for name, axis in space.items()}


def own_setting(parameters: Mapping[str, Any], space: Space) -> dict[str, Value]:
    """What a configuration says of the parameters of a space."""
    found: dict[str, Value] = {}
    for name in space:
        block, *rest = name.split(".")
        value: Any = SEARCHED[block].model_validate(parameters.get(block, {}))
        for part in rest:
            value = getattr(value, part)
        found[name] = value
    return found


def is_inside(setting: Setting, space: Space) -> bool:
    """Whether a space holds a setting."""
    return setting.keys() == space.keys() and all(_holds(axis, setting[name]) for name, axis in space.items())


def nested(setting: Setting) -> dict[str, Any]:
    """A setting as runtime parameters."""
    parts = []
    for name, value in setting.items():
        part: Any = value
        for word in reversed(name.split(".")):
            part = {word: part}
        parts.append(part)
    return merged(*parts)


def as_text(setting: Setting) -> str:
    """A setting as `--params` takes it."""
    return ",".join(f"{name}={_word(value)}" for name, value in setting.items())


def from_text(text: str) -> dict[str, Value]:
    """The setting that a text stands for."""
    return {name: yaml.safe_load(word) for name, _, word in (part.partition("=") for part in text.split(","))}


def _word(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    if isinstance(value, float) and "e" in (word := repr(value)):
        mantissa, _, exponent = word.partition("e")  # without a point YAML reads a text
        return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}e{exponent}"
    return str(value)


def _rounded(value: Value, axis: Axis) -> Value:
    if axis.choices is not None or not isinstance(value, float):
        return value
    assert axis.low is not None
    assert axis.high is not None
    return min(max(float(f"{value:.{DIGITS}g}"), float(axis.low)), float(axis.high))


def _holds(axis: Axis, value: Value) -> bool:
    if axis.choices is not None:
        return any(type(value) is type(each) and value == each for each in axis.choices)
    if axis.low is None or axis.high is None or isinstance(value, bool):
        return False
    return isinstance(value, int | float) and axis.low <= value <= axis.high
