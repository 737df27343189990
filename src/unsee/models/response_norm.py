"""Local response normalisation across channels, fast in the forward and the backward pass.

Krizhevsky et al. 2012, §3.3; Caffe's form: y = x·(k + α/n · Σ x²)^-β, the sum over n neighbouring channels.
torch's implementation averages a padded volume, which costs more than the convolutions around it.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.overrides import handle_torch_function, has_torch_function_unary

_BETA = 0.75


class ResponseNorm(nn.Module):
    """LRN with β = 3/4 over `size` neighbouring channels.

    Args:
        size: number of neighbours to sum over, odd.
        alpha: weight of their mean square.
        k: what is added to it.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.k = size, alpha, k

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The normalised activations, of the same shape, dtype and layout."""
        with torch.autocast(x.device.type, enabled=False):
            return response_norm(x, self._neighbours(x), self.k)

    def extra_repr(self) -> str:
        """The parameters."""
        return f"size={self.size}, alpha={self.alpha}, k={self.k}"

    def _neighbours(self, x: Tensor) -> Float[Tensor, "c c 1 1"]:
        """The sum over neighbouring channels, weighted with α/n, as a convolution of one pixel."""
        places = torch.arange(x.shape[1], device=x.device)
        near = (places[:, None] - places).abs() <= self.size // 2
        return (near.to(x.dtype) * (self.alpha / self.size))[:, :, None, None]


def response_norm(
    x: Float[Tensor, "b c h w"], neighbours: Float[Tensor, "c c 1 1"], k: float
) -> Float[Tensor, "b c h w"]:
    """x / (k + Σ neighbours·x²)^{3/4}; a torch function, so that a `TorchFunctionMode` can intercept it."""
    if has_torch_function_unary(x):
        overridden: Tensor = handle_torch_function(response_norm, (x,), x, neighbours, k)
        return overridden
    answer: Tensor = _Normalise.apply(x, neighbours, k)
    return answer


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, neighbours: Tensor, k: float) -> Tensor:
        total = F.conv2d(x.square(), neighbours).add_(k)
        root = total.rsqrt()
        factor = root.sqrt().mul_(root)
        ctx.save_for_backward(x, total, factor, neighbours)
        return x * factor

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, total, factor, neighbours = ctx.saved_tensors  # type: ignore[attr-defined]
        direct = gradient * factor
        through = F.conv2d((direct * x).div_(total), neighbours).mul_(x)
        return direct.sub_(through, alpha=2 * _BETA), None, None
