"""Decoders write a text from what an encoder made of another; one protocol for all of them.

    logits = decoder(tokens, memory)                 # (batch, time, vocabulary): of whole texts at once, teacher forcing
    state = decoder.initial_state(memory)
    logits, state = decoder.step(tokens, state)      # tokens (batch,), logits (batch, vocabulary): the same, a token at a time

memory: {"outputs": (batch, time, size), "mask": (batch, time) bool, "states": {name: (batch, units)}}; convolutional decoders and
Transformers have no "states". tokens: int32, each the one before the token that its logits are of; the first is a boundary. A state is a
dictionary: "memory", which no step changes, and arrays, batch first, which a search may reorder. "weights", where the decoder attends,
are those of the last step: (batch, time). `initial_state(memory, room)` gives a state whose arrays keep their shapes over `room` steps,
as a file for devices needs them.
"""

import keras
from keras import layers, ops
from keras.initializers import GlorotUniform, Orthogonal, RandomNormal, RandomUniform

from zoo.errors import InputError, check_sizes
from zoo.layers.attention import CausalSelfAttention, MultiHeadAttention, SinusoidalPositions
from zoo.layers.regularisation import TiedEmbedding
from zoo.layers.through_time import GRU, LSTM

CELLS = {"gru": (GRU, ("h",)), "lstm": (LSTM, ("h", "c"))}


def cell_named(cell):
    """(layer, names of its states) of 'gru' or 'lstm'."""
    if cell not in CELLS:
        raise InputError(f"`cell` is {cell!r}; expected one of {', '.join(CELLS)}.")
    return CELLS[cell]


class Decoder(layers.Layer):
    """What decoders share: embedding, logits, scheduled sampling.

    vocabulary: tokens, 0 is padding. dimensions: of the embedding. tied: logits from the embedding's own matrix. scheduled_sampling: the
    share of tokens that training replaces by the decoder's own draws, made in a first pass (Bengio et al. 2015, arXiv:1506.03099; in
    parallel: Duckworth et al. 2019, arXiv:1906.04331).
    """

    OPTIONS = ("vocabulary", "dimensions", "dropout", "tied", "scheduled_sampling", "seed")

    def __init__(self, vocabulary, dimensions, dropout=0.0, tied=False, scheduled_sampling=0.0, seed=0, **kwargs):
        super().__init__(**kwargs)
        check_sizes(least=2, vocabulary=vocabulary)
        check_sizes(dimensions=dimensions)
        self.vocabulary, self.dimensions, self.dropout, self.tied = vocabulary, dimensions, dropout, tied
        self.scheduled_sampling, self.seed = scheduled_sampling, seed
        start = RandomUniform(-0.1, 0.1, seed=seed) if not tied else RandomNormal(0.0, dimensions**-0.5, seed=seed)
        self.embedding = TiedEmbedding(vocabulary, dimensions, embeddings_initializer=start, name="embedding")
        self.drop = layers.Dropout(dropout, seed=seed + 1, name="dropout")
        self.to_logits = None
        if not tied:
            self.to_logits = layers.Dense(vocabulary, kernel_initializer=GlorotUniform(seed + 2), dtype="float32", name="logits")
        self.draws = keras.random.SeedGenerator(seed + 3)

    def call(self, tokens, memory, training=False):
        logits, _ = self.decode(tokens, memory, training)
        if not (training and self.scheduled_sampling):
            return logits
        drawn = keras.random.categorical(ops.reshape(logits, (-1, self.vocabulary)), 1, dtype="int32", seed=self.draws)
        drawn = ops.reshape(drawn, ops.shape(tokens))
        own = ops.concatenate([tokens[:, :1], ops.cast(drawn, tokens.dtype)[:, :-1]], axis=1)
        replaced = keras.random.uniform(ops.shape(tokens), seed=self.draws) < self.scheduled_sampling
        replaced = ops.logical_and(replaced, ops.not_equal(tokens, 0))
        return self.decode(ops.where(replaced, own, tokens), memory, training)[0]

    def decode(self, tokens, memory, training=False):
        """(logits, attention weights (batch, time, places) or None) of whole texts."""
        raise NotImplementedError

    def _logits(self, x):
        return ops.cast(self.embedding(x, reverse=True) if self.tied else self.to_logits(x), "float32")

    def _build(self, width):
        """Builds embedding and logits, which are made of `width` numbers."""
        self.embedding.build((None, None))
        if self.to_logits is not None:
            self.to_logits.build((None, None, width))

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self.OPTIONS}}


@keras.saving.register_keras_serializable("zoo")
class RecurrentDecoder(Decoder):
    """Recurrent layers that begin with the encoder's states; with attention, the top one's output looks at the memory at each step.

    cell: 'gru' or 'lstm'. attention: a zoo.layers.attention.Attention, or None. feeding: what was made of output and context also goes
    into the next step (input feeding; Luong et al. 2015). memory: states named 1_h, 2_h, ... (and 1_c, ... of an LSTM), with attention
    also outputs and mask. Source: the notes, encoder-decoder; Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078.
    """

    OPTIONS = (*Decoder.OPTIONS, "units", "depth", "cell", "feeding")

    def __init__(self, vocabulary, dimensions, units, depth=1, cell="gru", attention=None, feeding=False, **kwargs):
        super().__init__(vocabulary, dimensions, **kwargs)
        check_sizes(units=units, depth=depth)
        if feeding and attention is None:
            raise InputError("`feeding` is asked for without `attention`; expected an attention layer, whose context is fed.")
        self.units, self.depth, self.cell, self.attention, self.feeding = units, depth, cell, attention, feeding
        layer, self.kinds = cell_named(cell)
        self.recurrent = [
            layer(
                units,
                return_sequences=True,
                kernel_initializer=GlorotUniform(self.seed + 10 * index),
                recurrent_initializer=Orthogonal(seed=self.seed + 10 * index + 1),
                name=f"recurrent_{index}",
            )
            for index in range(1, depth + 1)
        ]
        self.between = layers.SpatialDropout1D(self.dropout, seed=self.seed + 4, name="between")
        self.width = dimensions if self.tied else units
        self.combine = None
        if attention is not None or self.width != units:
            self.combine = layers.Dense(self.width, "tanh", kernel_initializer=GlorotUniform(self.seed + 5), name="combine")
        # a step needs what the one before it attended to
        self.sequential = attention is not None and (feeding or attention.coverage)

    def build(self, tokens_shape, memory_shape):
        self._build(self.width)
        size = self.dimensions + self.width * self.feeding
        for layer in self.recurrent:
            layer.build((None, None, size))
            size = self.units
        if self.attention is not None:
            places = memory_shape["outputs"][-1]
            if not self.attention.built:  # it was, where a saved model was read
                self.attention.build((None, None, self.units), (None, None, places))
            size += places
        if self.combine is not None:
            self.combine.build((None, None, size))

    def initial_state(self, memory, room=None):
        """The state before the first token; see the module."""
        state = {f"{i}_{kind}": memory["states"][f"{i}_{kind}"] for i in range(1, self.depth + 1) for kind in self.kinds}
        if self.attention is None:
            return {**state, "memory": {}}
        outputs = memory["outputs"]
        state["memory"] = {"outputs": outputs, "mask": memory["mask"], "keys": self.attention.prepare(outputs)}
        state["weights"] = ops.zeros_like(outputs[:, :, 0], dtype="float32")
        if self.attention.coverage:
            state["covered"] = state["weights"]
        if self.attention.local == "monotonic":
            state["position"] = ops.zeros_like(outputs[:, 0, 0], dtype="int32")
        if self.sequential:
            first = state["1_h"][:, :1]
            state["fed"] = ops.repeat(ops.zeros_like(first), self.width, axis=1)
        return state

    def step(self, tokens, state):
        """(logits (batch, vocabulary), state) of the next token; see the module."""
        x, state = self._step(self.embedding(tokens[:, None])[:, 0], state)
        return self._logits(x[:, None])[:, 0], state

    def _step(self, x, state, kept=()):
        """kept: what dropout between the layers leaves, (batch, 1, units) a layer."""
        new = {"memory": state["memory"]}
        x = ops.concatenate([x, state["fed"]], axis=-1) if self.feeding else x
        for index, layer in enumerate(self.recurrent, 1):
            names = [f"{index}_{kind}" for kind in self.kinds]
            x, states = layer.cell(x, [state[name] for name in names])
            new.update(zip(names, states))
            x = x * kept[index - 1][:, 0] if kept and index < self.depth else x
        if self.attention is not None:
            memory = state["memory"]
            context, weights = self.attention.attend(
                x[:, None],
                memory["keys"],
                memory["outputs"],
                memory["mask"],
                state["position"][:, None] if "position" in state else None,
                state.get("covered"),
            )
            x, new["weights"] = ops.concatenate([x, context[:, 0]], axis=-1), weights[:, 0]
            if "covered" in state:
                new["covered"] = state["covered"] + weights[:, 0]
            if "position" in state:
                new["position"] = state["position"] + 1
        x = self.combine(x) if self.combine is not None else x
        if "fed" in state:
            new["fed"] = x
        return x, new

    def decode(self, tokens, memory, training=False):
        x = self.drop(self.embedding(tokens), training=training)
        state = self.initial_state(memory)
        if self.sequential:
            x, weights = self._in_turn(x, state, training)
        else:
            x, weights = self._at_once(x, state, training)
        return self._logits(self.drop(x, training=training)), weights

    def _at_once(self, x, state, training):
        for index, layer in enumerate(self.recurrent, 1):
            x = layer(x, initial_state=[state[f"{index}_{kind}"] for kind in self.kinds], training=training)
            x = self.between(x, training=training) if index < self.depth else x
        weights = None
        if self.attention is not None:
            memory = state["memory"]
            context, weights = self.attention.attend(x, memory["keys"], memory["outputs"], memory["mask"])
            x = ops.concatenate([x, context], axis=-1)
        return self.combine(x) if self.combine is not None else x, weights

    def _in_turn(self, x, state, training):
        memory = state.pop("memory")
        ones = ops.ones_like(x[:, :1, :1]) * ops.ones((1, 1, self.units), x.dtype)
        kept = [self.between(ones, training=training) for _ in range(1, self.depth)]

        def step(state, x):
            new = self._step(x, {**state, "memory": memory}, kept)[1]
            new = {name: ops.cast(new[name], state[name].dtype) for name in state}
            return new, new

        _, steps = ops.scan(step, state, ops.transpose(x, (1, 0, 2)))
        return ops.transpose(steps["fed"], (1, 0, 2)), ops.transpose(steps["weights"], (1, 0, 2))

    def get_config(self):
        attention = None if self.attention is None else keras.saving.serialize_keras_object(self.attention)
        return {**super().get_config(), "attention": attention}

    @classmethod
    def from_config(cls, config):
        attention = config["attention"] and keras.saving.deserialize_keras_object(config["attention"])
        return cls(**{**config, "attention": attention})


@keras.saving.register_keras_serializable("zoo")
class ConvolutionalDecoder(Decoder):
    """Causal convolutions with gated linear units; each layer looks at the memory by attention of its own.

    memory: outputs (batch, time, dimensions) and mask. Source: Gehring et al. 2017, arXiv:1705.03122.
    """

    OPTIONS = (*Decoder.OPTIONS, "depth", "kernel_size")

    def __init__(self, vocabulary, dimensions, depth=3, kernel_size=3, **kwargs):
        super().__init__(vocabulary, dimensions, **kwargs)
        check_sizes(depth=depth, kernel_size=kernel_size)
        self.depth, self.kernel_size = depth, kernel_size
        self.positions = SinusoidalPositions(name="positions")
        seeds = [self.seed + 10 * index for index in range(1, depth + 1)]
        self.convolutions = [
            layers.Conv1D(2 * dimensions, kernel_size, kernel_initializer=GlorotUniform(seed), name=f"convolution_{index}")
            for index, seed in enumerate(seeds, 1)
        ]
        self.attentions = [MultiHeadAttention(1, seed=seed + 1, name=f"attention_{i}") for i, seed in enumerate(seeds, 1)]

    def build(self, tokens_shape, memory_shape):
        shape = (None, None, self.dimensions)
        self._build(self.dimensions)
        for convolution, attention in zip(self.convolutions, self.attentions):
            convolution.build(shape)
            attention.build(shape, (None, None, memory_shape["outputs"][-1]))

    def initial_state(self, memory, room=None):
        """The state before the first token; see the module."""
        outputs = memory["outputs"]
        before = ops.zeros_like(outputs[:, :1, :1])
        before = before * ops.zeros((1, self.kernel_size - 1, self.dimensions), before.dtype)
        state = {f"{index}_before": before for index in range(1, self.depth + 1)}
        keys = {f"{index}_keys": attention.prepare(outputs) for index, attention in enumerate(self.attentions, 1)}
        state["position"] = ops.zeros_like(outputs[:, 0, 0], dtype="int32")
        state["weights"] = ops.zeros_like(outputs[:, :, 0], dtype="float32")
        return {**state, "memory": {"outputs": outputs, "mask": memory["mask"], **keys}}

    def step(self, tokens, state):
        """(logits (batch, vocabulary), state) of the next token; see the module."""
        x = self.positions(self.embedding(tokens[:, None]), first=state["position"][0])
        x, weights, new = self._through(x, state, False)
        new.update(position=state["position"] + 1, weights=weights[:, 0], memory=state["memory"])
        return self._logits(x)[:, 0], new

    def decode(self, tokens, memory, training=False):
        x = self.drop(self.positions(self.embedding(tokens)), training=training)
        x, weights, _ = self._through(x, self.initial_state(memory), training)
        return self._logits(self.drop(x, training=training)), weights

    def _through(self, x, state, training):
        """(outputs, mean weights, what each convolution has to see again) of texts that go on from a state."""
        memory, new, found = state["memory"], {}, []
        for index, (convolution, attention) in enumerate(zip(self.convolutions, self.attentions), 1):
            joined = ops.concatenate([ops.cast(state[f"{index}_before"], x.dtype), x], axis=1)
            new[f"{index}_before"] = joined[:, ops.shape(joined)[1] - self.kernel_size + 1 :]
            values, gates = ops.split(convolution(self.drop(joined, training=training)), 2, axis=-1)
            y = values * ops.sigmoid(gates)
            context, weights = attention.attend(y, memory[f"{index}_keys"], memory["outputs"], memory["mask"])
            x = (x + (y + ops.cast(context, x.dtype)) * 0.5**0.5) * 0.5**0.5
            found.append(weights[:, 0])
        return x, sum(found) / len(found), new


@keras.saving.register_keras_serializable("zoo")
class TransformerDecoder(Decoder):
    """Pre-norm blocks of causal self-attention, attention to the memory, and a feed-forward layer four times as wide.

    window: how many tokens a layer sees, itself included. A step keeps the keys and values of the tokens before it.
    memory: outputs (batch, time, dimensions) and mask. Source: Vaswani et al. 2017, arXiv:1706.03762; Su et al. 2021 (positions).
    """

    OPTIONS = (*Decoder.OPTIONS, "depth", "heads", "window")

    def __init__(self, vocabulary, dimensions, depth=3, heads=4, window=512, **kwargs):
        super().__init__(vocabulary, dimensions, **kwargs)
        check_sizes(depth=depth, heads=heads)
        check_sizes(least=2, window=window)
        self.depth, self.heads, self.window = depth, heads, window
        self.blocks = [self._block(index, self.seed + 10 * index) for index in range(1, depth + 1)]
        self.norm = layers.LayerNormalization(name="norm")

    def _block(self, index, seed):
        return {
            "self_norm": layers.LayerNormalization(name=f"self_norm_{index}"),
            "self": CausalSelfAttention(self.heads, self.window, seed=seed, name=f"self_{index}"),
            "memory_norm": layers.LayerNormalization(name=f"memory_norm_{index}"),
            "memory": MultiHeadAttention(self.heads, seed=seed + 2, name=f"memory_{index}"),
            "wide_norm": layers.LayerNormalization(name=f"wide_norm_{index}"),
            "wide": layers.Dense(4 * self.dimensions, "gelu", kernel_initializer=GlorotUniform(seed + 5), name=f"wide_{index}"),
            "narrow": layers.Dense(self.dimensions, kernel_initializer=GlorotUniform(seed + 6), name=f"narrow_{index}"),
        }

    def build(self, tokens_shape, memory_shape):
        shape = (None, None, self.dimensions)
        self._build(self.dimensions)
        self.norm.build(shape)
        for block in self.blocks:
            for name, layer in block.items():
                if name == "memory":
                    layer.build(shape, (None, None, memory_shape["outputs"][-1]))
                else:
                    layer.build((None, None, 4 * self.dimensions) if name == "narrow" else shape)

    def initial_state(self, memory, room=None):
        """The state before the first token; see the module."""
        outputs = memory["outputs"]
        before = 0 if room is None else min(room, self.window) - 1
        nothing = ops.zeros_like(outputs[:, :1, :1]) * ops.zeros((1, before, self.dimensions), outputs.dtype)
        state = {f"{index}_{what}": nothing for index in range(1, self.depth + 1) for what in ("keys", "values")}
        if before:
            state["there"] = nothing[:, :, 0]
        keys = {f"{index}_keys": block["memory"].prepare(outputs) for index, block in enumerate(self.blocks, 1)}
        state["weights"] = ops.zeros_like(outputs[:, :, 0], dtype="float32")
        return {**state, "memory": {"outputs": outputs, "mask": memory["mask"], **keys}}

    def step(self, tokens, state):
        """(logits (batch, vocabulary), state) of the next token; see the module."""
        new = {"memory": state["memory"]}

        def to_itself(index, layer, x):
            names = f"{index}_keys", f"{index}_values"
            kept = [state[name] for name in names]
            if "there" in state:
                outputs, (*kept, new["there"]) = layer.stream(x, [*kept, state["there"]])
            else:
                outputs, *kept = layer.extend(x, *kept)
            new.update(zip(names, kept))
            return outputs

        x, weights = self._through(self.embedding(tokens[:, None]), state["memory"], to_itself)
        return self._logits(x)[:, 0], {**new, "weights": weights[:, 0]}

    def decode(self, tokens, memory, training=False):
        x = self.drop(self.embedding(tokens), training=training)
        kept = self.initial_state(memory)["memory"]
        x, weights = self._through(x, kept, lambda index, layer, x: layer(x), training)
        return self._logits(x), weights

    def _through(self, x, memory, to_itself, training=False):
        found = []
        for index, block in enumerate(self.blocks, 1):
            x = x + self.drop(to_itself(index, block["self"], block["self_norm"](x)), training=training)
            attend, keys = block["memory"].attend, memory[f"{index}_keys"]
            y, weights = attend(block["memory_norm"](x), keys, memory["outputs"], memory["mask"])
            x = x + self.drop(y, training=training)
            y = block["narrow"](self.drop(block["wide"](block["wide_norm"](x)), training=training))
            x = x + self.drop(y, training=training)
            found.append(ops.mean(weights, axis=1))
        return self.norm(x), sum(found) / len(found)
