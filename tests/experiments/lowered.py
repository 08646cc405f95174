"""What tests ask of programs that are lowered for every platform at once."""

import re

PLATFORMS = ("cpu", "cuda", "tpu")
COLLECTIVE = re.compile(r"stablehlo\.(all_\w+|reduce_scatter|collective_\w+)")
