"""The public face of the package: what it exports, and that calls stay short."""

import importlib
import inspect
import pkgutil
import random

import pytest

import styleaug

MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(styleaug.__path__, "styleaug.")
    if "__main__" not in m.name
)
MOST = 8


def callables(module):
    """Public functions, classes and methods that a module defines, by name."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield name, value, value
            for method, function in vars(value).items():
                function = getattr(function, "__func__", function)  # of a classmethod
                if not method.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{method}", function, function
        elif inspect.isfunction(value):
            yield name, value, value


def too_long(module):
    """Those that take more than eight arguments, and do not say why."""
    found = []
    for name, call, documented in callables(module):
        try:
            parameters = list(inspect.signature(call).parameters.values())
        except ValueError:  # of a class in C
            continue
        taken = [p for p in parameters if p.name not in ("self", "cls")]
        if len(taken) > MOST and "arguments because" not in " ".join(
            (documented.__doc__ or "").split()
        ):
            found.append(f"{name} takes {len(taken)}")
    return found


@pytest.mark.parametrize("name", ["styleaug", *MODULES])
def test_no_call_takes_more_than_eight_arguments_without_a_reason(name):
    """Or its docstring says why: "It takes N arguments because ..."."""
    state = random.getstate()  # importing Lightning draws from it
    module = importlib.import_module(name)
    random.setstate(state)
    assert too_long(module) == []


def test_long_calls_are_found():
    module = type(inspect)("long")
    exec("def f(a, b, c, d, e, f, g, h, i): 'Nine.'", vars(module))
    exec("def g(a, b, c, d, e, f, g, h, i): 'Nine\\n  arguments because.'", vars(module))
    exec("class C:\n  @classmethod\n  def m(cls, a, b, c, d, e, f, g, h, i): ''", vars(module))
    exec("class D:\n  def m(self, a, b, c, d, e, f, g, h): ''", vars(module))
    for value in list(vars(module).values()):
        if hasattr(value, "__module__"):
            value.__module__ = "long"
    assert too_long(module) == ["f takes 9", "C.m takes 9"]


def test_what_users_import_is_there():
    assert sorted(styleaug.__all__) == [
        *("Defocus", "Equalize", "Relief", "Relight", "Restyle", "SensorNoise", "StyleAugment"),
        "StylePack",
        "__version__",
    ]
    assert all(hasattr(styleaug, name) for name in styleaug.__all__)
