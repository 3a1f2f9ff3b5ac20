"""Small modules, each with some way of writing PyTorch that real nets have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """A ReLU module that is called twice, in place, and an in-place sum."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.shortcut = nn.Conv2d(3, 8, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class SqueezeExcite(nn.Module):
    """A gate over the mean of space, by functional calls."""

    def __init__(self):
        super().__init__()
        self.reduce = nn.Conv2d(6, 2, 1)
        self.expand = nn.Conv2d(2, 6, 1)

    def forward(self, x):
        gate = x.mean((2, 3), keepdim=True)
        gate = F.relu6(self.expand(F.silu(self.reduce(gate))) + 3) / 6
        return x * gate


class Ghost(nn.Module):
    """Cheap maps beside the first ones, of which some are cut off (Han et al. 2020)."""

    def __init__(self):
        super().__init__()
        self.primary = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.cheap = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)

    def forward(self, x):
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], dim=1)[:, :7]


class Shuffle(nn.Module):
    """Halves, one of them convolved, and channels shuffled by hand (Ma et al. 2018)."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 4, 1))

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        x = torch.cat([left, self.branch(right)], dim=1)
        samples, channels, height, width = x.shape
        return x.view(samples, 2, channels // 2, height, width).transpose(1, 2).reshape(samples, -1, height, width)


class SamePadding(nn.Module):
    """TensorFlow's padding, by hand and odd, and a separable convolution."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 3, 3, stride=2, groups=3, bias=False)
        self.pointwise = nn.Conv2d(3, 5, 1)

    def forward(self, x):
        need = [max((-(-size // 2) - 1) * 2 + 3 - size, 0) for size in x.shape[-2:]]
        x = F.pad(x, [need[1] // 2, need[1] - need[1] // 2, need[0] // 2, need[0] - need[0] // 2])
        return self.pointwise(self.depthwise(x))


class Attention(nn.Module):
    """A class token, positions, PyTorch's multi-head attention and a head, with parameters of the net's own."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.scale = nn.Parameter(torch.full((8,), 0.5))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        normed = self.norm(x)
        x = x + self.scale * self.attention(normed, normed, normed, need_weights=False)[0]
        return self.head(x[:, 0])


class Windows(nn.Module):
    """Attention in shifted windows with a relative position bias, as a Swin stage (Liu et al. 2021)."""

    def __init__(self, size=4, heads=2, channels=8):
        super().__init__()
        self.size, self.heads = size, heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.table = nn.Parameter(torch.randn((2 * size - 1) ** 2, heads))
        place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).flatten(1)
        apart = (place[:, :, None] - place[:, None, :]).permute(1, 2, 0) + size - 1
        self.register_buffer("index", apart[..., 0] * (2 * size - 1) + apart[..., 1])

    def forward(self, x):
        samples, height, width, channels = x.shape
        size, heads = self.size, self.heads
        x = torch.roll(x, (-size // 2, -size // 2), dims=(1, 2))
        x = x.view(samples, height // size, size, width // size, size, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(-1, size * size, channels)
        qkv = self.qkv(x).reshape(x.shape[0], size * size, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0] * (channels // heads) ** -0.5, qkv[1], qkv[2]
        scores = query @ key.transpose(-2, -1)
        bias = self.table[self.index.view(-1)].view(size * size, size * size, -1).permute(2, 0, 1)
        scores = (scores + bias.unsqueeze(0)).softmax(-1)
        x = self.proj((scores @ value).transpose(1, 2).reshape(-1, size * size, channels))
        x = x.view(samples, height // size, width // size, size, size, channels).permute(0, 1, 3, 2, 4, 5)
        return torch.roll(x.reshape(samples, height, width, channels), (size // 2, size // 2), dims=(1, 2))


class Several(nn.Module):
    """Two inputs; a dict with a tuple in it comes out."""

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(3, 4, 3, padding=1)
        self.right = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, image, depth):
        left, right = self.left(image), self.right(depth)
        return {"sum": left + right, "both": (left, right), "mean": left.mean((2, 3))}


class Shared(nn.Module):
    """One block on every level of a pyramid, and a weight that two modules have."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.down = nn.MaxPool2d(2)
        self.first = nn.Conv2d(4, 4, 1)
        self.second = nn.Conv2d(4, 4, 1)
        self.second.weight = self.first.weight

    def forward(self, x):
        x = self.stem(x)
        one = self.block(x)
        other = self.block(self.down(one))
        return one, F.interpolate(self.first(other), scale_factor=2.0) + self.second(one)


class Unused(nn.Module):
    """Parameters and buffers that no forward pass reads."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.auxiliary = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
        self.spare = nn.Parameter(torch.ones(2, 3))
        self.register_buffer("seen", torch.zeros(7))

    def forward(self, x):
        if self.training:
            return self.conv(x), self.auxiliary(self.conv(x))
        return self.conv(x)


class Standardised(nn.Module):
    """Weights that are standardised before a convolution uses them (Qiao et al. 2019), and a channel norm."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(6, 1, 1, 1))
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        weight = F.batch_norm(
            self.conv.weight.reshape(1, 6, -1), None, None, weight=(self.gain * 0.5).view(-1), training=True, eps=1e-6
        ).reshape_as(self.conv.weight)
        x = F.conv2d(x, weight, self.conv.bias, padding=1)
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Constants(nn.Module):
    """A blur by a buffer, coordinates beside the image, a mask."""

    def __init__(self):
        super().__init__()
        self.register_buffer("blur", torch.tensor([1.0, 2.0, 1.0])[:, None] * torch.tensor([1.0, 2.0, 1.0]) / 16)
        self.conv = nn.Conv2d(5, 4, 1)

    def forward(self, x):
        kernel = self.blur[None, None].repeat(x.shape[1], 1, 1, 1)
        x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])
        rows = torch.linspace(-1, 1, x.shape[2]).view(1, 1, -1, 1).expand(x.shape[0], 1, -1, x.shape[3])
        columns = torch.linspace(-1, 1, x.shape[3]).view(1, 1, 1, -1).expand(x.shape[0], 1, x.shape[2], -1)
        mask = torch.tril(torch.ones(x.shape[2], x.shape[3]))
        return self.conv(torch.cat([x, rows, columns], dim=1)) * mask


class Rotary(nn.Module):
    """Angles of a rotary embedding as a matrix product of a buffer and positions (Su et al. 2021), in every pass."""

    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.rand(2))
        self.qkv = nn.Linear(4, 12)

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        positions = torch.arange(x.shape[1]).expand(x.shape[0], -1)
        with torch.no_grad():
            angles = self.frequencies[None, :, None].expand(x.shape[0], -1, 1) @ positions[:, None].float()
            angles = angles.transpose(1, 2).repeat(1, 1, 2)
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        query, key = (one * angles.cos() + self.turned(one) * angles.sin() for one in (query, key))
        return F.scaled_dot_product_attention(query, key, value)

    @staticmethod
    def turned(x):
        first, second = x.chunk(2, dim=-1)
        return torch.cat([-second, first], dim=-1)


class Queries(nn.Module):
    """Learned queries that look at each other before they look at the image (Carion et al. 2020, DETR)."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.rand(5, 4))
        self.own = nn.MultiheadAttention(4, 2)
        self.cross = nn.MultiheadAttention(4, 2)

    def forward(self, x):
        memory = x.flatten(2).permute(2, 0, 1)
        queries = self.queries[:, None].repeat(1, x.shape[0], 1)
        target = torch.zeros_like(queries) + queries
        target = target + self.own(target, target, target, need_weights=False)[0]
        return self.cross(target, memory, memory, need_weights=False)[0].transpose(0, 1)


class Fixed(nn.Module):
    """Blurs a coordinate map, which depends on no input, by a buffer and by a weight that is learned."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", torch.ones(1, 1, 3, 3) / 9)
        self.embed = nn.Conv2d(2, 3, 1)

    def forward(self, x):
        rows, columns = (torch.linspace(0, 1, size) for size in x.shape[2:])
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        grid = F.conv2d(grid[:, None], self.kernel, padding=1).view(1, 2, *x.shape[2:])
        return x + self.embed(grid)


class Moves(nn.Module):
    """What moves data: unbind, stack, split, narrow, expand, unfold, flip, slices that are written to."""

    def __init__(self):
        super().__init__()
        self.part = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        x = x.clone()
        x[:, :2] = self.part(x[:, :2])
        first, second, third = x.split([2, 2, 4], dim=1)
        pairs = torch.stack([first, second], dim=2)
        pairs = pairs[:, :, 0] * pairs[:, :, 1]
        rows = third.unfold(2, 3, 1).mean(-1)
        rows = F.pad(rows, (0, 0, 1, 1)).narrow(1, 1, 2)
        patches = F.unfold(x.flip(3), 2, stride=2).sum(1).view(x.shape[0], 1, 3, 3)
        wide = patches.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3).expand(-1, 2, -1, -1)
        return sum(pairs.unbind(1)).unsqueeze(1) + rows * wide


class Written(nn.Module):
    """Writes that another tensor sees: by a view of a view, to the whole of which a part was taken, to a part."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        part = y[:, :4]
        y.tanh_()
        part.permute(0, 2, 3, 1).view(x.shape[0], -1, 4)[:, 2:5].mul_(2)
        y.flatten(1).neg_()
        turned = y.clone()
        turned[:, :4], turned[:, 4:] = y[:, 4:], part
        return part * 3, y, turned


class Equations(nn.Module):
    """Einsums, attention by its parts and with a mask, batch not first."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(torch.randn(6, 4))

    def forward(self, x):
        tokens = x.flatten(2)
        mixed = torch.einsum("bcn,cd->bnd", tokens, self.mix)
        scores = torch.einsum("bnd,bmd->bnm", mixed, mixed)
        mixed = torch.einsum("bnm,bmd->bnd", scores.softmax(-1), mixed)
        mask = torch.ones(9, 9).triu(1) * -1e9
        masked = F.scaled_dot_product_attention(mixed, mixed, mixed, attn_mask=mask)
        causal = F.scaled_dot_product_attention(mixed, mixed, mixed, is_causal=True)
        return (masked + causal).transpose(0, 1).transpose(1, 2).permute(2, 1, 0)


class MoreEquations(nn.Module):
    """Einsums with an ellipsis, of one tensor, with sums over an axis of one of them, and without a result."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(torch.randn(2, 3, 4))

    def forward(self, x):
        heads = x.unflatten(1, (2, 3)).flatten(3)
        scores = torch.einsum("...di,...dj->...ij", heads, heads)
        mixed = torch.einsum("...ij,...dj->...di", scores.softmax(-1), heads)
        return (
            torch.einsum("nhdi,hde->nei", mixed, self.mix),
            torch.einsum("nhdi->ni", mixed),
            torch.einsum("ahdi,hej", mixed, self.mix),
            torch.einsum("nc,nd->ncd", x.mean((2, 3)), x.amax((2, 3))),
        )


class Pair(nn.Module):
    """One encoder for two images, its weights normalised (Salimans and Kingma 2016), and how far apart they are."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        self.head = nn.utils.parametrizations.weight_norm(nn.Linear(16, 5), dim=None)

    def forward(self, one, other):
        one, other = self.head(self.encoder(one)), self.head(self.encoder(other))
        return F.pairwise_distance(one, other), F.cosine_similarity(one, other), (one - other).abs().sum(1)


class Norms(nn.Module):
    """Statistics by hand: a response norm over space (Woo et al. 2023), a variance, group and instance norms."""

    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, 6, 1, 1))
        self.group = nn.GroupNorm(2, 6)
        self.instance = nn.InstanceNorm2d(6, affine=True)
        self.plain = nn.BatchNorm2d(6, track_running_stats=False)

    def forward(self, x):
        spread = x.norm(p=2, dim=(2, 3), keepdim=True)
        x = x * (spread / (spread.mean(dim=1, keepdim=True) + 1e-6)) * self.gamma + x
        x = x / torch.sqrt(x.var(dim=1, keepdim=True) + 1e-5)
        return self.plain(self.instance(self.group(F.normalize(x, dim=1))))


class Outlook(nn.Module):
    """Each place gives a patch around it, and overlapping patches are summed (Yuan et al. 2021, VOLO); a maximum
    whose place nobody asks for."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Conv2d(4, 81, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        patches = F.unfold(x, 3, padding=1, stride=2).unflatten(1, (4, 9)).permute(0, 3, 1, 2)
        weights = self.weights(F.avg_pool2d(x, 2, ceil_mode=True)).flatten(2).transpose(1, 2).unflatten(2, (9, 9))
        patches = weights.softmax(-1) @ patches.transpose(2, 3)
        x = F.fold(patches.permute(0, 3, 2, 1).flatten(1, 2), x.shape[2:], 3, padding=1, stride=2)
        return self.head(x.flatten(2).transpose(1, 2)).max(1)[0]


class Unknown(nn.Module):
    """A sort, for which there is no layer, amid what is known."""

    def __init__(self):
        super().__init__()
        self.before = nn.Conv2d(3, 4, 3, padding=1)
        self.odd = Sorted()
        self.after = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x):
        return self.after(self.odd(self.before(x)))


class Sorted(nn.Module):
    """All values of a map in order."""

    def forward(self, x):
        return x.flatten(2).sort(dim=-1).values.view(x.shape)


class Mixed(nn.Module):
    """Samples that look at each other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x - x.mean(0, keepdim=True))


class Dependent(nn.Module):
    """Control flow that the data decide."""

    def __init__(self):
        super().__init__()
        self.inner = Choice()

    def forward(self, x):
        return self.inner(x)


class Choice(nn.Module):
    """One of two ways."""

    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


class PerSample(nn.Module):
    """A kernel for every sample (Yang et al. 2019, CondConv)."""

    def __init__(self):
        super().__init__()
        self.route = nn.Linear(3, 2)
        self.bank = nn.Parameter(torch.randn(2, 4 * 3 * 3 * 3))

    def forward(self, x):
        samples, channels, height, width = x.shape
        gate = self.route(x.mean((2, 3))).sigmoid()
        weight = (gate @ self.bank).view(samples * 4, channels, 3, 3)
        x = x.reshape(1, samples * channels, height, width)
        return F.conv2d(x, weight, padding=1, groups=samples).view(samples, 4, height, width)


class Transposed(nn.Module):
    """Up and down again."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1)
        self.act = nn.PReLU(4)
        self.shuffle = nn.PixelShuffle(2)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.drop = nn.Dropout2d(0.1)

    def forward(self, x):
        x = self.shuffle(self.act(self.up(x)))
        x = F.interpolate(x, size=(17, 13), mode="bilinear", align_corners=False)
        return self.drop(self.pool(F.hardtanh(x, -2, 2))).clamp(min=0.1) ** 2


NETS = {
    "residual": (Residual, (3, 8, 8)),
    "squeeze_excite": (SqueezeExcite, (6, 8, 8)),
    "ghost": (Ghost, (3, 8, 8)),
    "shuffle": (Shuffle, (8, 6, 6)),
    "same_padding": (SamePadding, (3, 9, 8)),
    "attention": (Attention, (3, 8, 8)),
    "windows": (Windows, (8, 8, 8)),
    "several": (Several, {"image": (3, 6, 6), "depth": (1, 6, 6)}),
    "shared": (Shared, (3, 8, 8)),
    "unused": (Unused, (3, 8, 8)),
    "standardised": (Standardised, (3, 8, 8)),
    "constants": (Constants, (3, 8, 8)),
    "rotary": (Rotary, (4, 3, 3)),
    "queries": (Queries, (4, 3, 3)),
    "fixed": (Fixed, (3, 6, 5)),
    "moves": (Moves, (8, 6, 6)),
    "written": (Written, (3, 6, 5)),
    "equations": (Equations, (6, 3, 3)),
    "more_equations": (MoreEquations, (6, 2, 3)),
    "pair": (Pair, {"one": (1, 6, 6), "other": (1, 6, 6)}),
    "norms": (Norms, (6, 5, 5)),
    "outlook": (Outlook, (4, 6, 5)),
    "per_sample": (PerSample, (3, 6, 6)),
    "transposed": (Transposed, (3, 8, 6)),
}
"""Modules that are captured completely, with the shapes of their inputs."""
