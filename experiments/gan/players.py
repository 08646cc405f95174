"""The two networks that the options of `sigmaprop gan` describe."""

import math

from sigmaprop.generators import instance, networks
from sigmaprop.runs.own_sources import is_own

from . import arm_options
from .config import GanOptions

_CONVOLUTIONAL = ("dcgan", "resnet")
_SHAPED = ("mlp", "residual", *_CONVOLUTIONAL)
"""Networks whose widths and activations are options."""


def generator_of(options: GanOptions, shape: tuple[int, ...]) -> networks.Network:
    """The generator of examples of this shape."""
    if is_own(options.generator):
        return networks.get_generator(options.generator, options.latent_dim, shape)
    return networks.get_generator(
        options.generator,
        options.latent_dim,
        shape,
        widths=_widths(options.generator, options, options.widths),
        activation=options.activation if options.generator in _SHAPED else None,
        waves=options.waves,
        output=None if options.generator == "linear" else options.output,
        late_dim=arm_options.late(options, math.prod(shape)) or None,
        dtype=options.dtype,
    )


def discriminator_of(options: GanOptions, shape: tuple[int, ...]) -> networks.Network:
    """The discriminator of examples of this shape, told the level of their noise if it is to be."""
    if not options.tell_level:
        return _judge(options, shape)
    plane = options.discriminator in _CONVOLUTIONAL
    return instance.told(_judge(options, instance.told_shape(shape, plane)), shape, plane)


def _judge(options: GanOptions, shape: tuple[int, ...]) -> networks.Network:
    """The discriminator of examples of this shape."""
    if is_own(options.discriminator):
        return networks.get_discriminator(options.discriminator, shape)
    plain = options.discriminator in _SHAPED
    return networks.get_discriminator(
        options.discriminator,
        shape,
        widths=_widths(options.discriminator, options, options.discriminator_widths),
        activation=options.discriminator_activation if plain else None,
        dropout=None if plain else options.dropout,
        waves=options.discriminator_waves,
        dtype=options.dtype,
    )


def _widths(network: str, options: GanOptions, own: tuple[int, ...]) -> tuple[int, ...] | None:
    """What the options say of a network's width, None where it has its own."""
    if network in _CONVOLUTIONAL:
        return (options.channels,)
    return own if network in _SHAPED and own else None
