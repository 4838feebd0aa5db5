"""What a training node tells besides its outputs."""

from ..imagic.training import History


def loss_map(history: History) -> dict:
    """The host's LOSS_MAP, which Plot Loss Graph draws; the validation loss is one number before and one after."""
    return {
        "loss": history.losses,
        "validation": [history.validation_before, history.validation_after],
        "validation_steps": [0, len(history.losses)],
    }


def result(outputs: tuple, history: History, seconds: float, recalled: bool) -> dict:
    """A node's result with a summary that the host sends to whoever queued the graph.

    Args:
        seconds: that the node took.
        recalled: the result comes from disk; its cost is then what it once was.
    """
    summary = {
        "steps": len(history.losses),
        "seconds": seconds,
        "forward_equivalents": history.forward_equivalents,
        "validation_before": history.validation_before,
        "validation_after": history.validation_after,
        "recalled": recalled,
    }
    return {"ui": {"imagic": [summary]}, "result": outputs}


def spent(outputs: tuple, forward_equivalents: int, seconds: float) -> dict:
    """The same of a node that trains nothing."""
    return {"ui": {"imagic": [{"forward_equivalents": forward_equivalents, "seconds": seconds}]}, "result": outputs}
