"""Every numba option in one place: how kernels are compiled, named and cached."""

import hashlib
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numba
from numba import cloudpickle, njit
from numba._dynfunc import make_function
from numba.core import caching
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.extending import _Intrinsic
from numba.core.serialize import dumps
from numba.extending import register_jitable

# error_model: division as in NumPy, no test for a zero divisor. No fast-math: NaN, infinities and the order
# of additions are part of the contract. nogil: kernels are what our own threads run side by side.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# The same of CUDA kernels. fastmath=False also keeps subnormal numbers and exact divisions.
CUDA_OPTIONS: dict[str, Any] = {"fastmath": False}
CUDA_INLINED: dict[str, Any] = {"forceinline": True}

DIGEST = 16  # bytes

# A child that is forked while another thread compiles would find numba's lock held for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


class Part(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that kernels call. It becomes a part of each kernel, and cannot run alone.

    numba would optimise such a function, make machine code of it, and do both again in each caller, which
    takes twice as long in all. Functions that are inlined are optimised with what they are inlined into.
    """

    inlined = False

    def _optimize_final_module(self) -> None:
        if not self.inlined:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class PartCompiler(Compiler):  # type: ignore[misc]
    """Compiles such a function."""

    def compile_extra(self, func: Any) -> Any:
        """Its code; what numba knows it by has no address that could be called."""
        library = Part(self.state.targetctx.codegen(), func.__qualname__)
        library.enable_object_caching()
        library.inlined = self.state.flags.forceinline
        self.state.library, self.state.flags.no_compile = library, True
        found = super().compile_extra(func)
        part, name = found.fndesc, found.fndesc.qualname.rpartition(".")[2]
        known = make_function(part.lookup_module(), name, "", 0, found.environment, (library,))
        found.target_context.insert_user_function(known, part, [library])
        return found._replace(entry_point=known)


PART: dict[str, Any] = {"no_cfunc_wrapper": True, "pipeline_class": PartCompiler}


@cache
def source_digest() -> int:
    """A number that changes with the source of any expression a kernel is built from, and of numba's options.

    numba's cache key covers the file that defines a kernel, not the helpers it calls; kernels capture this
    number, so that an edited operator misses the cache.
    """
    room = Path(__file__).parent
    shared = [room / f"{name}.py" for name in ("aligned", "halves", "jit", "random", "weighted")]
    sources = sorted([*shared, *room.glob("operators/*.py"), *room.glob("cpu/*.py")])
    text = b"".join(path.read_bytes() for path in sources)
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def register(module: ModuleType | str, *, passes: str = "", **options: bool) -> None:
    """Let kernels call the plain functions that a module defines; they are inlined, unless told else.

    Functions that call one named `passes` are passes over memory, and the compiler may keep them apart. All
    others around them are inlined: a call writes its arguments and results to the stack, and these stores
    wait behind those of results, which miss the cache.

    Functions of other packages enter the cache key as they are, since `source_digest` does not cover them.
    """
    found = sys.modules[module] if isinstance(module, str) else module
    if found.__name__.partition(".")[0] != __package__:
        cloudpickle.register_pickle_by_value(found)
    for function in vars(found).values():
        if isinstance(function, FunctionType) and function.__module__ == found.__name__:
            forced = {"forceinline": not passes or passes not in function.__code__.co_names}
            register_jitable(**(options or forced), **PART)(function)


def name_intrinsics(module: str) -> None:
    """Let a module's intrinsics enter cache keys alike in each process.

    numba numbers them at random. A function that is made by another one enters a key with all that it calls.
    """
    for name, found in vars(sys.modules[module]).items():
        if isinstance(found, _Intrinsic) and found.__module__ == module:
            name_intrinsic(found, f"{module}.{name}")


def name_intrinsic(found: Any, name: str) -> None:
    """As `name_intrinsics`, of one that a function makes."""
    found._set_uuid(name)


def expression(function: Any) -> None:
    """Let kernels call a function that is made by another one."""
    register_jitable(forceinline=True, **PART)(function)


def outlined(function: Any) -> None:
    """As `expression`, of a function that the compiler may keep apart."""
    register_jitable(forceinline=False, **PART)(function)


def kernel(function: Callable[..., Any], name: str, **options: bool) -> Callable[..., Any]:
    """Compile lazily under `name`, with the on-disk cache where some folder can be written."""
    function.__name__ = function.__qualname__ = name
    compiled: Any = njit(**OPTIONS, **options)(function)
    try:
        compiled._cache = Cache(function)
    except RuntimeError:  # numba: "no locator available", as on a read-only installation
        not_kept("no cache folder can be written")
    return compiled  # type: ignore[no-any-return]


PROVIDED: Any = getattr(caching, "UserProvidedCacheLocator", None) or caching._UserProvidedCacheLocator


class Folder(PROVIDED):  # type: ignore[misc]
    """The folder that `NUMBA_CACHE_DIR` names; one that a process may only read serves too."""

    def ensure_cache_path(self) -> None:
        """OSError where the folder can neither be written nor read."""
        try:
            super().ensure_cache_path()
        except OSError:
            if not os.access(self.get_cache_path(), os.R_OK | os.X_OK):
                raise


class Files(CompileResultCacheImpl):  # type: ignore[misc]
    """numba's files of compiled kernels, in such a folder first."""

    _locator_classes = (Folder, *CompileResultCacheImpl._locator_classes)


class Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache, one file a kernel and its argument types, which may be damaged at any time.

    numba has an index beside its files, in which processes that write at once overwrite each other's entries,
    and raises what a damaged file makes of itself. A file here stands alone: its name is the digest of all
    that it depends on, and it begins with the digest of its contents. What does not match is compiled anew.
    """

    _impl_class = Files

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel; None where there is none that can be used."""
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            digest, contents = (data := path.read_bytes())[:DIGEST], data[DIGEST:]
            if digest == _digest(path.name.encode(), contents):
                return self._impl.rebuild(target_context, pickle.loads(contents))
        except Exception:  # whatever it is, to compile the kernel is the way on
            pass
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a compiled kernel; a disk that is full, or a folder that is gone, fails no call."""
        if not self._impl.check_cachable(data):
            return
        try:
            self._impl.locator.ensure_cache_path()
            path = self._path(sig, data.codegen)
            contents = dumps(self._impl.reduce(data))
            with self._cache_file._open_for_write(path) as file:  # under another name, then renamed
                file.write(_digest(path.name.encode(), contents) + contents)
        except OSError as error:
            not_kept(str(error))

    def _path(self, sig: Any, codegen: Any) -> Path:
        key = str(self._index_key(sig, codegen)).encode()
        file = self._py_func.__code__.co_filename
        source = _source(file) if os.path.isfile(file) else self._impl.locator.get_source_stamp()
        stamp = str((numba.__version__, source)).encode()
        return Path(self.cache_path, f"{self._impl.filename_base}.{_digest(stamp, key).hex()}.nbc")


@cache
def _source(path: str) -> str:
    """Digest of the file that defines a kernel: its time changes where an image of a container is made."""
    return _digest(Path(path).read_bytes()).hex()


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        digest.update(part)
    return digest.digest()


class Unkept:
    """Why compiled kernels were not written; empty as long as all were."""

    problem = ""


def not_kept(problem: str) -> None:
    """Warn, once in a process, that kernels are compiled at each start."""
    told, Unkept.problem = Unkept.problem, Unkept.problem or problem
    if not told:
        warnings.warn(
            f"compiled kernels cannot be kept, and each process compiles its own, for seconds: {problem}. "
            "Set the environment variable NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )


def cache_folder() -> str:
    """Where compiled kernels are kept; empty where no folder can be written."""

    def probe() -> None:
        pass

    try:
        return str(Cache(probe).cache_path)
    except RuntimeError:
        return ""
