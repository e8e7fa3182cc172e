"""Run by a Python that has TensorFlow: carries out the calls of one file and writes what came of them.

Arguments: a pickled list of (function of tf.nn, positional arguments, named arguments), and where the answers
go: for each call a list of arrays, or the name of the exception.
"""

import os
import pickle
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # channels first, which it has by default on newer processors alone

import numpy as np
import tensorflow as tf


def answer(name, arguments, options):
    first, *others = arguments
    dtype = options.pop("output_dtype", None)
    if dtype is not None:
        options["output_dtype"] = tf.as_dtype(dtype)
    try:
        result = getattr(tf.nn, name)(tf.constant(first), *others, **options)
    except Exception as error:
        return type(error).__name__
    return [np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


def main(calls, answers):
    with open(calls, "rb") as file:
        listed = pickle.load(file)
    with open(answers, "wb") as file:
        pickle.dump([answer(*call) for call in listed], file)


if __name__ == "__main__":
    main(*sys.argv[1:])
