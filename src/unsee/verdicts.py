"""The verdict on a mask as results and stores hold it, and what to do about one that has not converged."""

CONVERGED = "converged"
NO_GAIN = "no gain"
"""How a verdict begins if no mask was better than another, or if the mask hardly changes the score."""


NO_SCORE = "not finite: the network gives no finite score"
"""How a verdict begins if the network itself fails on an edited image, whatever the precision."""

STOPPED = "stopped after"
"""How a verdict begins if the mask is the best one at the time when its optimisation was stopped."""

NOT_REACHED = "not reached"
"""How a verdict begins if no mask does what was asked of the smallest one."""


def advice(verdict: str) -> str:
    """What to do about a mask that has not converged."""
    if verdict.startswith(NO_GAIN):
        return "explain another class, or try the preset paper or another perturbation"
    if verdict.startswith(NOT_REACHED):
        return "ask for a smaller share, explain another class, or try another perturbation"
    if verdict.startswith(STOPPED):
        return "the same call again learns it to the end"
    if verdict.startswith(NO_SCORE):
        return "try another perturbation, or check the network on such images"
    if verdict.startswith("not finite"):
        return "use precision float32, and check that the network's outputs are finite"
    return "allow more iterations, or use the preset paper"
