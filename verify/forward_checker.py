"""Recomputes from a snapshot's bytes, standard library only: exact answers, and that float32 cannot change them.

    python verify/forward_checker.py snapshot.safetensors

Values and weights are integers over 2^40. A matrix is kept by columns, each packed into one integer with 104 bits a
row: a product with a vector is one multiplication and one addition a column, and the upper 64 of each 104 bits are the
result over 2^40, rounded down. What that loses is bounded in the same way as what float32 can lose (`Errors`),
for all inputs at once, from the least and largest value of every intermediate number, and then alone for each input
whose lead is not larger than that.
"""

import json
import struct
import sys
from itertools import compress
from math import isqrt
from operator import mul, sub
from pathlib import Path
from types import SimpleNamespace

ONE = 1 << 40  # values and weights
UP = 60  # errors are integers over 2^100 = ONE << UP
LIBM = 16  # float32's exp and tanh are off by at most 16 u (8 ulp), u = 2^-24
FLOOR = 32 << UP  # above what one operation loses here, and what float32 loses below its normal range
LARGEST, MOST_SIZE, MOST_BYTES, MOST_WORK = 1 << 22, 1 << 12, 1 << 24, 10**11
CHUNK, MOST_CLOSE = 8, 4000  # inputs that the bound for all does not settle: at once, and at most
ROOT, CUBIC = 0xCC42299EA1B28468, 44715 * 2**64 // 10**6  # sqrt(2 / pi) and .044715, over 2^64
SIZES = {"kind", "d_model", "n_heads", "d_head", "d_mlp"}
PAIRS, LATER = {"n_left", "n_right", "n_answers"}, {"equals", "causal", "softmax_share"}
KEYS = {
    "transformer": SIZES | {"p"},
    "deep_transformer": SIZES | PAIRS | LATER | {"n_layers", "activation", "pre_norm", "operator", "attention_bias"},
    "mlp": PAIRS | {"kind", "d_embed", "widths", "activation", "combine", "bias"},
}
DEFAULTS = {"equals": True, "causal": True, "softmax_share": 1, "attention_bias": False, "pre_norm": False}
DEFAULTS |= {"operator": False, "bias": True, "n_layers": 1, "activation": "relu"}


class Rejected(Exception):
    """Why nothing is certain."""


def need(condition, reason):
    if not condition:
        raise Rejected(reason)


class Matrix:
    """x -> W x + b; an entry of `size` is above |W|."""

    def __init__(self, rows, bias=None):
        self.rows, self.n, bias, self.images = rows, len(rows), bias or [0] * len(rows), {}
        self.columns, self.bias = [pack(column) for column in zip(*rows, strict=True)], pack([b << 40 for b in bias])
        self.size, self.bias_size = [[abs(w) + 1 for w in row] for row in rows], [abs(b) + 1 << UP for b in bias]
        self.reach, self.most = max(map(sum, self.size), default=0), max(map(abs, bias), default=0) << 40
        self.lanes, self.sizes, self.slack = struct.Struct("<" + "5xq" * self.n), None, 1

    def __call__(self, x, biased=True):
        need(self.reach * max(max(x), -min(x)) + self.most < LARGEST << 80 if x else True, "values beyond 2^22")
        total = sum(map(mul, filter(None, x), compress(self.columns, x)), self.bias if biased else 0)
        return self.lanes.unpack((total % (1 << 104 * self.n)).to_bytes(13 * self.n, "little"))

    def above(self, errors):
        """Above |W| errors, for errors below 2^22."""
        self.sizes = self.sizes or [pack(column, 26) for column in zip(*self.size, strict=True)]
        need(self.reach * max(errors, default=0) < 1 << 207, "errors beyond 2^22")
        total, more = sum(map(mul, errors, self.sizes)).to_bytes(26 * self.n, "little"), self.slack * sum(errors)
        return [(int.from_bytes(total[i : i + 26], "little") + more >> 40) + 1 for i in range(0, 26 * self.n, 26)]

    def after(self, other):
        """This one's product with another; `slack` over 2^40 is what rounding took from each entry."""
        if other not in self.images:
            columns = [self(column, False) for column in zip(*other.rows, strict=True)]
            image = self.images[other] = Matrix(list(zip(*columns, strict=True)) or [()] * self.n)
            image.slack = (self.reach + other.turned().reach >> 40) + 3
        return self.images[other]

    def turned(self):
        if None not in self.images:
            self.images[None] = Matrix(list(zip(*self.rows, strict=True)))
        return self.images[None]


def pack(numbers, size=13):
    """sum_i numbers_i 2^(8 size i), numbers of either sign."""
    above, below = (b"".join(max(s * v, 0).to_bytes(size, "little") for v in numbers) for s in (1, -1))
    return int.from_bytes(above, "little") - int.from_bytes(below, "little")


def exp(x):
    """exp(x / 2^40) over 2^100 for x <= 0, off by less than 2^-60: (1 + z + z^2 / 2 + ...)^1024, z = x / 1024."""
    if x < -64 * ONE:
        return 0
    z, power, total = x << 78, 1 << 128, 1 << 128
    for k in range(1, 16):
        power = (power * z >> 128) // k
        total += power
    for _ in range(10):
        total = total * total >> 128
    return total >> 28


def gelu(x):
    """Tanh-GELU and its slope, over 2^40 and off by less than 2^-36; beyond 16 it is within 2^-100 of 0 or x."""
    if abs(x) >= 16 * ONE:
        return (x, ONE) if x > 0 else (0, 0)
    inner = ROOT * (x + (CUBIC * x**3 >> 144)) >> 64
    power = exp(-2 * abs(inner))
    tanh = (((1 << 100) - power << 40) // ((1 << 100) + power)) * (1 if x > 0 else -1)
    steep = ROOT * (ONE + (3 * CUBIC * x * x >> 104)) >> 64
    return x * (ONE + tanh) >> 41, ONE + tanh + ((ONE * ONE - tanh * tanh) * x * steep >> 120) >> 1


def read_net(data):
    """A decoder (blocks of q, k, v, o, w_in, w_out) or a perceptron (blocks of w_in alone)."""
    need(8 < len(data) <= MOST_BYTES, f"no file of at most {MOST_BYTES} bytes")
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    meta = header.pop("__metadata__")
    need(meta["format"] == "catapult-snapshot-1", "no snapshot")
    about, task = json.loads(meta["net"]), json.loads(meta["task"])
    need(about["kind"] in KEYS, f"a net of kind {about['kind']!r}")
    need(KEYS[about["kind"]] - LATER <= set(about) <= KEYS[about["kind"]], "its settings are not those of its kind")
    net = SimpleNamespace(**{**DEFAULTS, **about})
    p = net.p = task["p"]
    need(type(p) is int and 2 <= p <= 1024, "its p")
    need(all(about.get(key, p) == p for key in ("p", "n_left", "n_right", "n_answers")), "its p")
    need(not net.pre_norm and net.activation in ("relu", "gelu_tanh"), "LayerNorm, or its activation")
    flags = (net.operator, net.equals, net.causal, net.attention_bias, net.bias)
    need(all(type(flag) is bool for flag in flags), "a switch is neither true nor false")

    def size(value, least=1):
        need(type(value) is int and least <= value <= MOST_SIZE, f"a size is {value!r}")
        return value

    def tensor(name, *shape):
        entry = header.pop(name)
        low, high = entry["data_offsets"]
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        need(entry["dtype"] == "F32" and entry["shape"] == list(shape), f"{name}: its type or shape")
        need(low >= 0 and high == low + 4 * count and start + high <= len(data), f"{name}: its bytes")
        floats = struct.unpack(f"<{count}f", data[start + low : start + high])
        need(all(abs(w) < LARGEST for w in floats), f"{name}: beyond 2^22, or no numbers")
        flat = [int(w * 2.0**40) for w in floats]
        return flat if len(shape) == 1 else [flat[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]

    def linear(name, d_out, d_in, bias, twice=1):
        rows = [row * twice for row in tensor(f"{name}.weight", d_out, d_in)]
        return Matrix(rows, tensor(f"{name}.bias", d_out) if bias else None)

    if net.kind == "mlp":
        d, side_by_side = size(net.d_embed), net.combine == "concatenate"
        need(side_by_side or net.combine == "sum", "how it combines")
        net.left, net.right = tensor("embed_left.weight", p, d), tensor("embed_right.weight", p, d)
        d, net.blocks = d * (1 + side_by_side), []
        for i, width in enumerate(net.widths):
            block = linear(f"layers.{i}.linear", size(width), d, net.bias, 1 if i or side_by_side else 2)
            d, net.blocks = width, [*net.blocks, {"w_in": block}]
    else:
        d, width, hidden = size(net.d_model), size(net.n_heads, 0) * size(net.d_head), size(net.d_mlp, 0)
        need(type(net.softmax_share) in (int, float) and 0 <= net.softmax_share <= 1, "softmax_share")
        net.share, extra, net.blocks = int(net.softmax_share * 2.0**64), net.equals + net.operator, []
        net.embed, net.pos = tensor("embed.weight", p + extra, d), tensor("pos.weight", 2 + extra, d)
        deep = net.kind == "deep_transformer"
        for i in range(size(net.n_layers)):
            attn, mlp = (f"blocks.{i}.attn.", f"blocks.{i}.") if deep else ("attn.", "mlp.")
            block = {name: linear(attn + name, width, d, net.attention_bias) for name in "qkv"}
            block |= {
                "o": linear(f"{attn}o", d, width, net.attention_bias),
                "w_in": linear(f"{mlp}w_in", hidden, d, True),
            }
            net.blocks.append({**block, "w_out": linear(f"{mlp}w_out", d, hidden, True)})
    net.unembed = Matrix(tensor("unembed.weight", p, d))
    need(net.blocks and not header, f"no layer, or unknown tensors {sorted(header)[:3]}")
    parts = [sum(m.n * 500 for m in block.values()) for block in net.blocks]
    work = len(data) + 300 * start + sum(parts) + 10**4 * len(net.blocks) * getattr(net, "n_heads", 1)
    need(p * p * work < MOST_WORK, "too large to check")
    return net


class Forward:
    """Logits of inputs, the least and the largest of every intermediate number, and what was computed by symbol."""

    def __init__(self, net):
        self.net, self.low, self.high, self.known = net, {}, {}, {}

    def note(self, i, name, x):
        """Takes the vector `name` of layer i into account."""
        low, high = self.low.get((i, name), x), self.high.get((i, name), x)
        self.low[i, name] = [v if v < w else w for v, w in zip(x, low, strict=True)]
        self.high[i, name] = [v if v > w else w for v, w in zip(x, high, strict=True)]
        return x

    def apply(self, i, name, source, x, key=None):
        """A block's matrix applied to x, which is a value of `source`; computed once for each `key`."""
        if key is None or (name, key) not in self.known:
            self.known[name, key] = self.note(i, name, self.net.blocks[i][name](self.note(i, source, x)))
        return self.known[name, key]

    def hidden(self, i, x):
        pre = self.apply(i, "w_in", "x", x)
        return [v if v > 0 else 0 for v in pre] if self.net.activation == "relu" else [gelu(v)[0] for v in pre]

    def logits(self, a, b):
        net = self.net
        if net.kind == "mlp":
            x = net.left[a] + net.right[b]
            for i in range(len(net.blocks)):
                x = self.hidden(i, x)
            return net.unembed(x)
        tokens = [a] + [net.p + net.equals] * net.operator + [b] + [net.p] * net.equals
        xs = [list(map(int.__add__, net.embed[t], net.pos[j])) for j, t in enumerate(tokens)]
        for i, block in enumerate(net.blocks):
            keys = [(t, j) if i == 0 else None for j, t in enumerate(tokens)]
            after = []
            for j in [len(xs) - 1] if i + 1 == len(net.blocks) else range(len(xs)):
                z = self.attention(i, xs, j, keys)
                mid = [v + w for v, w in zip(xs[j], block["o"](z), strict=True)]
                out = block["w_out"](self.hidden(i, mid))
                after.append(self.note(i, "after", [v + w for v, w in zip(mid, out, strict=True)]))
            xs = after
        return net.unembed(xs[-1])

    def attention(self, i, xs, j, keys):
        """z at position j; `swing` is sum_t A_t (1 - A_t) / 2 of a head times the range of its values, `spread` the
        largest difference of its scores."""
        net, z, swing, spread = self.net, [], [], []
        seen = range(j + 1 if net.causal else len(xs))
        q = self.apply(i, "q", "in", xs[j], keys[j])
        ks, vs = ([self.apply(i, name, "in", xs[t], keys[t]) for t in seen] for name in "kv")
        root = isqrt((1 << 120) // net.d_head)
        for h in range(0, len(q), net.d_head):
            head = slice(h, h + net.d_head)
            scores = [sum(map(mul, q[head], k[head])) * root >> 100 for k in ks]
            top = max(scores)
            need(max(top, -min(scores)) < ONE << 16, "scores beyond 2^16")
            powers = [exp(s - top) for s in scores]
            total = sum(powers)
            weights = [(power << 40) // total for power in powers]
            loose = sum(w * (ONE - w) for w in weights) >> 41
            weights = [w * net.share + ((1 << 64) - net.share) * ONE >> 64 for w in weights]
            columns = list(zip(*(v[head] for v in vs), strict=True))
            z += [sum(map(mul, weights, column)) >> 40 for column in columns]
            swing += [(max(column) - min(column)) * loose >> 40 for column in columns]
            spread.append(top - min(scores))
        self.note(i, "swing", swing)
        self.note(i, "spread", spread)
        return self.note(i, "z", z)


def add(*vectors):
    return list(map(sum, zip(*vectors, strict=True)))


class Errors:
    """Bounds, over 2^100, of |computed - exact| for every input that `forward` has seen.

    Computed: by float32 in any order of summation, or only (float32 = False) by the integers of this file. A sum of n
    terms is off by n u / (1 - n u) sum |terms|, u = 2^-24, and FLOOR. The stream's error is kept as a box of its own
    and as images of boxes by the matrices that wrote them: a reader R sees |R M| box, not |R| |M| box.
    """

    def __init__(self, forward, float32):
        self.net, self.forward, self.float32 = forward.net, forward, float32

    def made(self, terms, sizes, inputs=()):
        floor = FLOOR + (sum(inputs) >> 40)
        return [(terms * s // ((1 << 24) - terms) + 1 if self.float32 else 0) + floor for s in sizes]

    def size(self, i, name, error):
        """Above |computed| and |exact|."""
        ends = zip(self.forward.low[i, name], self.forward.high[i, name], error, strict=True)
        return [(max(-low, high) << UP) + 2 * e for low, high, e in ends]

    def read(self, i, name, reader, stream):
        """A layer's reading of the stream `name`: the error it carries over and that which it makes."""
        own, parts, total = stream
        carried = add(reader.above(own), *(reader.after(m).above(box) for m, box in parts))
        size = self.size(i, name, total)
        return carried, self.made(len(size) + 1, add(reader.above(size), reader.bias_size), size)

    def write(self, i, name, stream, linear, sizes, box):
        """The stream `name` = stream + linear(x), for |x| <= sizes and the error box of x."""
        own, parts, total = stream
        made = self.made(len(box) + 1, add(linear.above(sizes), linear.bias_size), sizes)
        total = add(total, made, linear.above(box))
        rounding = self.made(1, self.size(i, name, total))
        return add(own, made, rounding), [*parts, (linear, box)], add(total, rounding)

    def attention(self, i, block, stream):
        """The error of z, and above |z|."""
        net, seen = self.net, 2 + self.net.equals + self.net.operator
        errors = {name: add(*self.read(i, "in", block[name], stream)) for name in "qkv"}
        (eq, q), (ek, k), (ev, v) = ((e, self.size(i, name, e)) for name, e in errors.items())
        root, worst = isqrt((1 << 80) // net.d_head) + 1, 0
        for h in range(0, len(q), net.d_head):
            head = slice(h, h + net.d_head)
            moved = sum(map(mul, q[head], ek[head])) + sum(map(mul, eq[head], k[head])) >> 100
            (made,) = self.made(net.d_head + 4, [(sum(map(mul, q[head], k[head])) >> 100) + 1])
            worst = max(worst, ((moved + made) * root >> 40) + FLOOR)
        spread = [s + 4 * worst for s in self.size(i, "spread", [0] * net.n_heads)]
        t = 2 * (worst + max(self.made(1, spread), default=0))
        rho = t + (t * t >> 100) + 1
        need(rho < ONE << UP - 2, "a softmax may be off by a quarter")
        (rounding,) = self.made(seen + 2 * LIBM + 10, [(ONE << UP) + rho])
        (shared,) = self.made(4, [(ONE << UP) + rho + rounding])
        weights = (ONE << UP) + (seen - 1) * (((1 << 64) - net.share) << 36) + seen * (rho + rounding + shared)
        error = []
        for swing, size, e in zip(self.size(i, "swing", [FLOOR] * len(v)), v, ev, strict=True):
            loose = swing + seen * ((rho + rounding) * 2 * size + (ONE << UP) * e >> 100)
            error.append((rho * loose + weights * e + seen * (rounding + shared) * size >> 100) + 1)
        error = add(error, self.made(seen + 1, [(weights * size >> 100) + 1 for size in v], v))
        return error, self.size(i, "z", error)

    def hidden(self, i, stream):
        """Of the activations: slopes, their error, that part of it that the slopes do not carry, and size."""
        carried, made = self.read(i, "x", self.net.blocks[i]["w_in"], stream)
        error, slopes = add(carried, made), []
        lows, highs, size = self.forward.low[i, "w_in"], self.forward.high[i, "w_in"], self.size(i, "w_in", error)
        for low, high, e in zip(lows, highs, error, strict=True):
            low, high = (low << UP) - 2 * e, (high << UP) + 2 * e
            if self.net.activation == "relu":
                slopes.append((0, 0) if high <= 0 else (ONE, 0) if low >= 0 else (ONE // 2, ONE // 2))
            else:  # |gelu''| < 1, and the slope lies in (-.2, 1.2)
                wide = (high - low >> UP) + (1 << 12)
                slopes.append((gelu(low >> UP)[1], wide) if wide < ONE // 2 else (ONE // 2, ONE * 3 // 4))
        late = [0] * len(error) if self.net.activation == "relu" else self.made(LIBM, size)
        after = [((abs(c) + w) * e >> 40) + 1 + own for (c, w), e, own in zip(slopes, error, late, strict=True)]
        before = [(w * e + (abs(c) + w) * m >> 40) + 1 for (c, w), e, m in zip(slopes, carried, made, strict=True)]
        return [c for c, _ in slopes], after, add(before, late), size

    def stream(self):
        """What the last w_in reads: the error of its own, the images in it, and above the sum of them."""
        net = self.net
        if net.kind == "mlp":
            own = [1 << UP] * len(self.forward.low[0, "x"])
            for i in range(len(net.blocks) - 1):
                own = self.hidden(i, (own, [], own))[1]
            return own, [], own
        own = self.made(1, self.size(0, "in", [1 << UP] * len(net.pos[0])))
        stream = own, [], own
        for i, block in enumerate(net.blocks):
            z, sizes = self.attention(i, block, stream)
            stream = self.write(i, "x", stream, block["o"], sizes, z)
            if i + 1 < len(net.blocks):
                _, error, _, sizes = self.hidden(i, stream)
                stream = self.write(i, "after", stream, block["w_out"], sizes, error)
        return stream

    def leads(self, top=None, others=()):
        """Bounds of the error of logit top - logit c for each c of others; without a top, one for any two logits.

        An error e of what the last layer reads, d of its pre-activations and f of its output moves logits by
        (U + C D W_in) e + C D' d + U f with C = U W_out and slopes D: here rows of these matrices are subtracted.
        """
        net, i = self.net, len(self.net.blocks) - 1
        stream = own, parts, _ = self.stream()
        centre, error, from_pre, size = self.hidden(i, stream)
        w_in, w_out, u = net.blocks[i]["w_in"].turned(), net.blocks[i].get("w_out"), net.unembed
        chosen, hidden = range(net.p) if top is None else [top, *others], u.after(w_out) if w_out else u
        c_rows = [hidden.rows[c] for c in chosen]
        u_rows = [u.rows[c] for c in chosen]
        rows = [w_in([d * w >> 40 for d, w in zip(centre, row, strict=True)], False) for row in c_rows]
        tables = [(c_rows, from_pre, hidden.slack)]
        if w_out:
            rows = [list(map(int.__add__, x, y)) for x, y in zip(rows, u_rows, strict=True)]
            after, _, total = self.write(i, "after", stream, w_out, size, error)
            tables.append((u_rows, [x - y for x, y in zip(after, own, strict=True)], 1))
            size = self.size(i, "after", total)
        lost = 2 * (hidden.slack + 1) * ((w_in.reach >> 40) + 2) + 2 * (hidden.reach >> 40) + 4
        tables.append((rows, own, lost))
        longest = max(sum(map(abs, row)) for row in rows) >> 40
        for m, box in parts:
            turned = m.turned()
            tables.append(([turned(row, False) for row in rows], box, lost * ((turned.reach >> 40) + 2) + longest + 2))
        sums = u.above(size)
        read = self.made(len(size) + 1, [sums[c] for c in chosen], size)
        if top is None:
            total = 2 * max(read)
            for rows, box, lost in tables:
                gaps = [max(column) - min(column) + 2 * lost for column in zip(*rows, strict=True)]
                total += (sum(map(mul, gaps, box)) >> 40) + 1
            return [total]
        totals = [read[0] + r for r in read[1:]]
        for (first, *rest), box, lost in tables:
            for n, row in enumerate(rest):
                totals[n] += (sum(map(mul, map(abs, map(sub, first, row)), box)) + 2 * lost * sum(box) >> 40) + 1
        return totals


def rounding(forward, top=None, others=()):
    """The bounds for float32; above every lead where the errors grow too large to be bounded."""
    try:
        return Errors(forward, True).leads(top, others)
    except Rejected:
        return [LARGEST << 1 + 40 + UP] * max(len(others), 1)


def check(data):
    """Exact answers [a][b], None where none is certain, and whether float32 gives the same on every input."""
    net = read_net(data)
    everything, answers, leads = Forward(net), [[None] * net.p for _ in range(net.p)], {}
    for a in range(net.p):
        for b in range(net.p):
            logits = everything.logits(a, b)
            first, second = sorted(logits)[:-3:-1]
            answers[a][b], leads[a, b] = logits.index(first), first - second << UP
    (exact,), (rounded,) = Errors(everything, False).leads(), rounding(everything)
    for (a, b), lead in leads.items():
        if lead <= exact:
            answers[a][b] = None
    close = [pair for pair, lead in leads.items() if lead <= exact + rounded]
    chunks = [close[i : i + CHUNK] for i in range(0, min(len(close), MOST_CLOSE), CHUNK)]
    return answers, len(close) <= MOST_CLOSE and all(stay(net, chunk, leads, exact) for chunk in chunks)


def stay(net, pairs, leads, exact):
    """Float32 keeps the answers of these inputs, whose logits' differences are exact within `exact`."""
    together = Forward(net)
    logits = {pair: together.logits(*pair) for pair in pairs}
    (rounded,) = rounding(together)
    return all(leads[pair] > exact + rounded or stays(net, pair, logits[pair], exact, rounded) for pair in pairs)


def stays(net, pair, logits, exact, rounded):
    """The same of one input, and only for the differences that are not above `rounded`."""
    alone, top = Forward(net), logits.index(max(logits))
    leads = {c: logits[top] - v << UP for c, v in enumerate(logits) if c != top}
    others = [c for c, lead in leads.items() if lead <= exact + rounded]
    alone.logits(*pair)
    bounds = rounding(alone, top, others)
    return all(leads[c] > exact + bound for c, bound in zip(others, bounds, strict=True))


def main(arguments):
    try:
        need(len(arguments) == 1, "give one snapshot")
        answers, unchanged = check(Path(arguments[0]).read_bytes())
        certain = sum(answer is not None for row in answers for answer in row)
        print(f"{certain} of {len(answers) ** 2} answers are certain; unchanged under rounding: {unchanged}")
        return 0 if unchanged else 1
    except Exception as error:
        print(f"rejected: {type(error).__name__} {str(error)[:200]!r}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
