"""The notes' attention in plain NumPy, one query and one place at a time, forwards and backwards.

A query q (its size) looks at a memory m (time, its size): scores e<s>, weights alpha<s> = exp(e<s>) / sum exp(e<s>) over what the
mask shows, context c = sum alpha<s> m<s>. w: the weights by the names of zoo.layers.attention.Attention.
"""

import numpy as np


def score(kind, q, m_s, w, covered=0.0):
    """e<s>: how well the query fits one place."""
    if kind == "additive":
        return w["scores_kernel"][:, 0] @ np.tanh(_sum(q, m_s, w, covered))
    if kind == "general":
        return q @ (m_s @ w["memory_kernel"])
    return q @ m_s / (np.sqrt(len(q)) if kind == "scaled_dot" else 1.0)


def _sum(q, m_s, w, covered):
    from_coverage = covered * w["coverage_kernel"][0] if "coverage_kernel" in w else 0.0
    return q @ w["query_kernel"] + m_s @ w["memory_kernel"] + w["bias"] + from_coverage


def score_back(kind, q, m_s, w, covered, de, dw):
    """Adds to dw what de, the gradient of a score, says of the weights; returns (dq, dm_s)."""
    if kind == "additive":
        t = np.tanh(_sum(q, m_s, w, covered))
        dw["scores_kernel"][:, 0] += de * t
        dz = de * w["scores_kernel"][:, 0] * (1.0 - t**2)
        dw["query_kernel"] += np.outer(q, dz)
        dw["memory_kernel"] += np.outer(m_s, dz)
        dw["bias"] += dz
        if "coverage_kernel" in w:
            dw["coverage_kernel"][0] += covered * dz
        return w["query_kernel"] @ dz, w["memory_kernel"] @ dz
    if kind == "general":
        dw["memory_kernel"] += de * np.outer(m_s, q)
        return de * (m_s @ w["memory_kernel"]), de * (w["memory_kernel"] @ q)
    scale = np.sqrt(len(q)) if kind == "scaled_dot" else 1.0
    return de * m_s / scale, de * q / scale


def attention(kind, q, m, w, shown, covered=None):
    """(context, weights) of one query. shown: (time,) bool."""
    covered = np.zeros(len(m)) if covered is None else covered
    alpha = np.zeros(len(m))
    places = np.flatnonzero(shown)
    if not len(places):
        return np.zeros(m.shape[1]), alpha
    e = np.array([score(kind, q, m[s], w, covered[s]) for s in places])
    alpha[places] = np.exp(e - e.max()) / np.exp(e - e.max()).sum()
    return alpha @ m, alpha


def attention_back(kind, q, m, w, shown, dc, covered=None):
    """(dq, dm, dw): the gradients where the loss's gradient with respect to the context is dc."""
    covered = np.zeros(len(m)) if covered is None else covered
    _, alpha = attention(kind, q, m, w, shown, covered)
    dw = {name: np.zeros_like(value) for name, value in w.items()}
    dq, dm = np.zeros_like(q), np.outer(alpha, dc)
    dalpha = m @ dc
    de = alpha * (dalpha - alpha @ dalpha)  # the softmax's
    for s in np.flatnonzero(shown):
        dq_s, dm_s = score_back(kind, q, m[s], w, covered[s], de[s], dw)
        dq, dm[s] = dq + dq_s, dm[s] + dm_s
    return dq, dm, dw


def position(q, length, w):
    """The place that local-p attention chooses: S sigmoid(v . tanh(W q))."""
    z = w["position_scores_kernel"][:, 0] @ np.tanh(q @ w["position_kernel"])
    return length / (1.0 + np.exp(-z))


def multi_head(x, m, query_kernel, memory_kernel, output_kernel, heads, shown):
    """Several heads for a sequence of queries (queries, size), the heads one after another: (outputs, weights (heads, queries, time))."""
    size = x.shape[1]
    keys, values = np.split(m @ memory_kernel, 2, axis=1)
    queries, width = x @ query_kernel, size // heads
    mixed, weights = np.zeros_like(x), np.zeros((heads, len(x), len(m)))
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for t in range(len(x)):
            _, weights[head, t] = attention("scaled_dot", queries[t, part], keys[:, part], {}, shown)
            mixed[t, part] = weights[head, t] @ values[:, part]
    return mixed @ output_kernel, weights
