"""scikit-learn's conventions for estimators, kept without importing it."""
# ruff: noqa: ARG002 (scikit-learn passes y to every fit)
# mypy: disable-error-code="import-untyped"

from inspect import signature
from typing import Any, Self


class Estimator:
    """Parameters are the constructor's arguments, kept as they came in attributes of the same names."""

    estimator_type: str | None = None
    requires_fit = True

    @classmethod
    def _names(cls) -> list[str]:
        return list(signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; `deep` is there for scikit-learn."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Change some of the constructor's arguments; ValueError for a name that it does not take."""
        for name, value in params.items():
            if name not in self._names():
                known = ", ".join(self._names()) or "none"
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has: {known}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({shown})"

    def _fitted(self, attribute: str) -> Any:
        """What `fit` has learned."""
        if not hasattr(self, attribute):
            raise ValueError(f"{type(self).__name__} has not been fitted: call fit first")
        return getattr(self, attribute)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's pipelines ask."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, TransformerTags  # noqa: PLC0415

        classifies = self.estimator_type == "classifier"
        return Tags(
            estimator_type=self.estimator_type,
            target_tags=TargetTags(required=classifies),
            transformer_tags=None if classifies else TransformerTags(),
            classifier_tags=ClassifierTags() if classifies else None,
            input_tags=InputTags(two_d_array=False),
            requires_fit=self.requires_fit,
        )


class Transformer(Estimator):
    """An estimator with `fit` and `transform`."""

    def fit(self, x: Any, y: Any = None) -> Self:
        """Learn from `x`; there is nothing to learn unless a class says so."""
        return self

    def transform(self, x: Any) -> Any:
        """The descriptors of `x`."""
        raise NotImplementedError

    def fit_transform(self, x: Any, y: Any = None) -> Any:
        """`fit`, and `transform` of the same."""
        return self.fit(x, y).transform(x)
