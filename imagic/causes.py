"""Errors that other errors are raised from."""

import inspect


def as_cause(error: Exception) -> Exception:
    """What was thrown into a generator of `contextmanager`, for another error to be raised from it.

    In Python 3.12, and in 3.13 and 3.14 at first, the frame of such a generator leads on to what was thrown into it
    (python/cpython#100964). With that frame in its own traceback the error would hold itself, and every tensor of the
    run, until the cycle collector comes. The traceback begins with such generators' frames, so those are cut off;
    of an error that such a generator raised itself, nothing is left but its words.
    """
    while (trace := error.__traceback__) and trace.tb_frame.f_code.co_flags & inspect.CO_GENERATOR:
        error.__traceback__ = trace.tb_next
    return error
