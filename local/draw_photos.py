"""Draw the sample photos of `make run`: bicycles, motorcycles, a scone, and two broken files.

    python local/draw_photos.py
    python local/draw_photos.py --out /tmp/photos

Drawn, so that the project owns them, and always the same: every random number has a fixed seed.

A vehicle is a list of parts, painted one over the other, seen from its right side, in metres;
the rear hub is above x = 0, the road is y = 0. Each part is lit as if it were inflated: its
outline, blurred, is a height map, and the slope of that map decides how it takes the light.
"""

import argparse
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter
from pillow_heif import register_heif_opener

SIZE = (2400, 1800)  # pixels drawn; a photo is scaled from this
HORIZON = 1010  # pixel row where wall or street meets the ground
LIGHT = np.array([-0.40, -0.72, 0.57], np.float32)  # towards the sun: left, up, to the viewer

Point = tuple[float, float]
Colour = tuple[int, int, int]
Pixels = np.ndarray  # float32 [height, width, channels], 0 to 255


class Material(NamedTuple):
    """A surface: its colour, how much it shines, how much of the sky it mirrors (0 to 1)."""

    colour: Colour
    shine: float = 0.25
    mirror: float = 0.0


MATERIALS = {
    "amber": Material((232, 138, 28), 0.6),
    "black": Material((30, 31, 34), 0.35, 0.08),
    "brown_leather": Material((120, 72, 40), 0.22),
    "china": Material((236, 236, 230), 0.5, 0.12),
    "chrome": Material((205, 209, 214), 0.95, 0.85),
    "cream": Material((246, 240, 224), 0.3),
    "crust": Material((170, 102, 44), 0.18),
    "dough": Material((214, 162, 96), 0.06),
    "engine": Material((112, 115, 119), 0.35, 0.12),
    "glass": Material((226, 232, 236), 0.95, 0.55),
    "gold": Material((176, 140, 60), 0.7, 0.4),
    "iron": Material((62, 64, 67), 0.2),
    "jam": Material((150, 14, 30), 0.95),
    "leather": Material((46, 38, 34), 0.18),
    "plate": Material((222, 222, 214), 0.2),
    "rubber": Material((34, 34, 36), 0.06),
    "screen": Material((96, 110, 120), 0.9, 0.4),
    "steel": Material((168, 172, 176), 0.7, 0.45),
    "tail_light": Material((176, 22, 22), 0.7),
    "teal": Material((30, 130, 140), 0.2),
    "white": Material((232, 233, 234), 0.6, 0.1),
}


# ── What is drawn: "part material sizes  x y  x y ...", see the methods of Painter ──

BICYCLE_WHEELS = """
tube engine .022  .43 .285  .27 .343
tube black .022  .225 .343  .315 .343
wire_wheel rubber TYRE 0 .345 .345 32
wire_wheel rubber TYRE 1.03 .345 .345 32
"""
MUDGUARDS = """
arc paint .03 0 .345 .367 12 172
arc paint .03 1.03 .345 .367 28 158
tube steel .007  0 .345  -.354 .44
tube steel .007  1.03 .345  .712 .528
"""
RACK_AND_BOX = """
tube black .014  -.32 .745  .24 .745
tube black .009  -.22 .745  .01 .355
tube black .009  -.02 .745  .01 .355
tube black .009  .12 .745  .01 .355
panel teal .02  -.36 .76  .11 .76  .11 1.18  -.36 1.18
tube white .022  -.35 .85  .1 .85
tube black .008  -.355 1.13  .105 1.13
ring cream .075 .03 -.125 .995
shape dough .02  -.175 .975  -.16 1.015  -.125 1.033  -.09 1.015  -.075 .975  -.125 .965
"""
BICYCLE_FRAME = """
tube engine .008  0 .381  .43 .377
tube engine .008  0 .309  .43 .193
ring steel .036 .036 0 .345
tube paint .021  .43 .285  0 .345
tube paint .017  .29 .76  0 .345
tube steel .027  .297 .736  .262 .87
tube paint .034  .43 .285  .29 .76
tube paint .04  .43 .285  .883 .681
tube paint .034  .298 .732  .855 .769
bent paint .024  .89 .66  .967 .487  1.03 .345
tube paint .046  .89 .66  .845 .8
bent black .006  .865 .7  .8 .62  .62 .47
shape seat .022  .1 .905  .12 .93  .2 .925  .3 .915  .4 .922  .415 .908  .33 .893  .26 .868
    .16 .858  .11 .872
tube steel .026  .845 .8  .825 .87
ring steel .092 .016 .43 .285
ring engine .034 .034 .43 .285
tube engine .013  .43 .285  .512 .285
tube engine .013  .43 .285  .455 .363
tube engine .013  .43 .285  .364 .333
tube engine .013  .43 .285  .364 .237
tube engine .013  .43 .285  .455 .207
tube steel .026  .43 .285  .59 .227
tube black .028  .535 .227  .645 .227
tube steel .016  .12 .3  .06 .02
"""
CITY_BAR = """
tube steel .028  .825 .87  .875 .89
bent steel .021  .875 .89  .895 .93  .765 .896  .675 .9
tube black .034  .785 .895  .675 .9
tube steel .01  .835 .892  .765 .85
tube black .055  .875 .8  .945 .79
tube glass .024  .967 .808  .967 .772
"""
FLAT_BAR = """
tube steel .028  .825 .87  .9 .89
bent steel .021  .9 .89  .92 .93  .867 .876  .84 .865
tube black .034  .873 .879  .84 .865
tube steel .01  .888 .885  .93 .815
tube black .055  .9 .8  .97 .79
tube glass .024  .992 .808  .992 .772
"""
DROP_BAR = """
tube steel .026  .825 .87  .915 .875
bent black .028  .915 .875  .985 .88  1.04 .845  1.035 .775  .965 .74  .875 .745
tube black .036  1.015 .91  1.04 .865
bent steel .012  1.04 .875  1.065 .805  1.035 .765
"""
ROADSTER = """
tube black .05  1.07 .985  1.4 .315
cast_wheel rubber .105 0 .315 .315
brake steel .145 0 .315
cast_wheel rubber .085 1.42 .315 .315
brake steel .145 1.42 .315
tube black .016  0 .4  .5 .44
tube black .016  0 .23  .5 .35
bent trim .055  0 .315  .26 .37  .52 .41
spring steel .07 .36  .2 .74
bent black .04  .3 .76  .48 .74  .53 .42
bent black .042  1.07 .84  .95 .42  .84 .27  .46 .28
tube black .05  .4 .79  1.07 .9
shape paint .03  .44 .56  .6 .54  .61 .74  .42 .76  .38 .68
cylinder engine .24 .74 .47 .8 .78
shape black .03  .58 .58  .67 .58  .67 .68  .58 .7
shape engine .04  .46 .335  .5 .495  .64 .555  .84 .535  .94 .435  .9 .285  .74 .245  .54 .255
ring trim .108 .108 .64 .395
ring black .085 .012 .64 .395
ring trim .068 .068 .83 .405
bolts steel .098 6 .64 .395
bent exhaust .046  .9 .64  1.01 .56  .99 .34  .86 .215  .45 .215
tube exhaust .098  .4 .22  -.18 .275
tube black .066  -.21 .278  -.215 .279
arc paint .06 0 .315 .365 60 148
tube tail_light .07  -.2 .74  -.27 .72
tube plate .014  -.3 .5  -.27 .66
tube amber .05  -.14 .7  -.16 .66
shape seat .045  -.22 .83  -.16 .885  .08 .885  .24 .855  .44 .845  .57 .89  .57 .8  .36 .765
    .02 .775  -.16 .79
shape paint .085  .53 .795  .545 .885  .65 .985  .84 1.025  1 .985  1.055 .905  .99 .845  .76
    .795
bent chrome .016  .6 .875  .8 .895  .98 .92
tube chrome .022  .78 1.03  .85 1.035
tube chrome .046  1.1 .985  1.42 .315
tube trim .066  1.254 .663  1.42 .315
tube black .075  1.094 .998  1.11 .965
tube black .075  1.164 .851  1.177 .824
arc paint .05 1.42 .315 .35 42 146
tube trim .03  1.286 .596  1.358 .665
shape trim .06  1.25 1.035  1.15 1.019  1.1 .93  1.15 .841  1.25 .825
shape glass .04  1.245 1.035  1.285 .993  1.3 .93  1.285 .867  1.245 .825  1.235 .93
tube chrome .02  1.243 1.035  1.243 .825
tube amber .055  1.14 .82  1.2 .8
ring chrome .052 .052 1.12 1.06
bent steel .027  1.08 1.04  1.06 1.15  .95 1.132  .84 1.115
tube rubber .042  .983 1.138  .84 1.115
tube chrome .013  1.027 1.145  .89 1.055
tube black .012  1 1.1  1.02 1.27
shape black .025  .945 1.27  .99 1.318  1.08 1.305  1.09 1.25  1.02 1.228
tube rubber .035  .55 .33  .62 .32
tube steel .022  .5 .28  .4 .03
"""
CRUISER = """
tube black .055  1.19 .99  1.64 .335
wire_wheel rubber .13 0 .325 .325 40
brake steel .145 0 .325
wire_wheel rubber .09 1.66 .335 .335 40
brake steel .145 1.66 .335
tube black .06  0 .325  .52 .37
bent paint .046  1.18 .86  1.06 .4  .94 .24  .42 .24
bent black .05  .3 .6  .62 .72  1.18 .88
shape black .04  .38 .36  .56 .36  .57 .6  .4 .58
cylinder engine .2 .72 .42 .6 .7
cylinder engine .2 .8 .42 .95 .69
shape engine .04  .52 .3  .56 .46  .7 .52  .9 .5  1 .4  .96 .25  .8 .21  .6 .22
ring trim .108 .108 .7 .36
ring black .085 .012 .7 .36
ring trim .068 .068 .89 .37
bolts steel .098 6 .7 .36
ring chrome .095 .095 .775 .6
ring paint .055 .055 .775 .6
bent exhaust .052  .98 .6  1.06 .47  1 .26  .7 .215  .3 .215
tube exhaust .082  .34 .215  -.42 .235
tube black .055  -.455 .236  -.46 .236
bent exhaust .052  .68 .6  .8 .47  .78 .36  .7 .315  .3 .315
tube exhaust .082  .34 .315  -.42 .335
tube black .055  -.455 .336  -.46 .336
shape paint .05  -.4 .36  -.42 .52  -.3 .68  -.05 .745  .22 .72  .36 .6  .3 .54  .1 .64  -.1 .65
    -.26 .56  -.34 .38
tube tail_light .065  -.39 .6  -.43 .585
tube plate .014  -.47 .36  -.45 .52
shape seat .06  -.26 .5  -.25 .66  .14 .65  .15 .5  .1 .385  -.2 .385
tube black .022  -.14 .655  -.14 .46
ring chrome .018 .006 -.14 .5
tube black .022  .04 .655  .04 .46
ring chrome .018 .006 .04 .5
shape seat .06  -.16 .76  -.1 .86  .1 .86  .2 .765  .4 .715  .6 .78  .62 .72  .5 .65  .2 .68
    -.1 .72
shape paint .09  .56 .755  .62 .86  .8 .955  1.02 .985  1.15 .935  1.16 .87  1.04 .81  .8 .755
ring chrome .045 .045 .93 .875
tube chrome .046  1.22 .99  1.66 .335
tube trim .066  1.431 .676  1.66 .335
tube black .075  1.211 1.003  1.233 .97
tube black .075  1.308 .859  1.326 .833
panel paint .04  2.006 .535  1.919 .64  1.801 .709  1.666 .735  1.531 .714  1.411 .648  1.32
    .546  1.381 .459  1.436 .542  1.515 .603  1.609 .636  1.708 .636  1.802 .605  1.882 .545
shape chrome .06  1.4 1.005  1.3 .989  1.25 .9  1.3 .811  1.4 .795
shape glass .04  1.395 1.005  1.435 .963  1.45 .9  1.435 .837  1.395 .795  1.385 .9
tube chrome .02  1.393 1.005  1.393 .795
tube amber .055  1.27 .8  1.33 .78
bent steel .027  1.2 1.04  1.18 1.135  1.02 1.118  .86 1.1
tube rubber .042  1.068 1.123  .86 1.1
tube chrome .013  1.132 1.13  .91 1.04
tube black .012  1.08 1.14  1.12 1.32
shape black .025  1.045 1.32  1.09 1.368  1.18 1.355  1.19 1.3  1.12 1.278
tube rubber .035  1.08 .25  1.2 .27
tube steel .024  .56 .24  .46 .03
"""
SPORT = """
cast_wheel rubber .1 0 .31 .31
brake steel .145 0 .31
cast_wheel rubber .08 1.38 .31 .31
brake steel .145 1.38 .31
tube chrome .046  1.1 .9  1.38 .31
tube gold .066  1.234 .617  1.38 .31
tube black .075  1.094 .912  1.108 .882
tube black .075  1.156 .782  1.167 .758
arc paint .045 1.38 .31 .34 30 150
tube paint .05  1.24 .605  1.35 .649
tube black .016  0 .395  .48 .44
tube black .016  0 .225  .48 .36
shape trim .03  -.05 .34  0 .37  .46 .48  .52 .4  .42 .34  .02 .28
spring steel .34 .46  .4 .7
shape engine .04  .4 .36  .44 .52  .58 .58  .78 .56  .88 .46  .84 .31  .68 .27  .48 .28
ring trim .108 .108 .58 .42
ring black .085 .012 .58 .42
ring trim .068 .068 .77 .43
bolts steel .098 6 .58 .42
shape steel .03  .36 .56  .66 .5  .98 .72  1.06 .86  .92 .86  .6 .74  .4 .7
bent exhaust .05  .6 .24  .4 .25  .2 .36
tube exhaust .115  .2 .37  -.2 .58
tube black .075  -.225 .594  -.23 .596
arc black .03 0 .31 .345 70 130
shape paint .05  .5 .24  .62 .5  .8 .6  .92 .76  1.06 .93  1.2 1  1.36 .84  1.33 .74  1.16 .66
    1.06 .48  .98 .28  .8 .2
shape white .03  .56 .27  .74 .42  1.02 .5  .98 .32  .8 .23
shape black .02  .8 .52  .96 .6  1.02 .72  .92 .68
shape screen .03  1.04 .93  1.02 1.02  1.08 1.09  1.18 1.05  1.26 .96  1.16 .96
shape glass .02  1.22 .9  1.34 .85  1.325 .79  1.24 .82
bent steel .027  1.08 .92  1.06 .955  .995 .927  .93 .9
tube rubber .042  1.014 .936  .93 .9
tube chrome .013  1.04 .947  .98 .84
tube black .012  1.16 .99  1.1 1.13
shape black .025  1.025 1.13  1.07 1.178  1.16 1.165  1.17 1.11  1.1 1.088
shape paint .07  .5 .74  .52 .86  .64 .965  .82 .985  .96 .93  1 .86  .8 .76
bent white .03  .6 .83  .78 .87  .93 .88
shape seat .03  .22 .74  .34 .8  .54 .81  .56 .75  .36 .7
shape paint .04  .42 .68  .3 .79  .06 .9  -.22 1  -.3 .97  -.16 .86  .1 .72  .3 .63
shape seat .025  .24 .82  .05 .92  -.12 .975  -.05 .93  .12 .85
tube tail_light .03  -.27 .955  -.22 .925
tube plate .014  -.3 .66  -.22 .8
tube black .02  -.12 .84  -.24 .76
tube rubber .03  .46 .4  .52 .39
tube steel .022  .5 .26  .4 .03
"""
PLATE = """
oval china .05  0 -.12  .86 .5  0
oval china .04  0 -.11  .6 .33  0
"""
SCONE = """
oval dough .12  0 .02  .44 .2  85
oval dough .12  0 .13  .45 .19  86
oval crust .16  0 .29  .4 .2  87
"""
JAM_AND_CREAM = """
oval cream .06  -.46 -.28  .17 .085  90
oval cream .05  -.44 -.22  .1 .055  91
oval jam .05  .42 -.3  .18 .075  92
oval jam .03  .46 -.27  .07 .035  93
"""


# ── How it is painted ──


class Painter:
    """Paints parts onto a transparent layer of SIZE. Numbers are metres and degrees."""

    def __init__(self, scale: float, origin: Point, **materials: str | Material) -> None:
        self.layer = Image.new("RGBA", SIZE)
        self.scale = scale  # pixels per metre
        self.origin = origin  # pixel of (0, 0)
        named = {name: MATERIALS[m] if isinstance(m, str) else m for name, m in materials.items()}
        self.materials = MATERIALS | named

    def draw(self, drawing: str) -> None:
        """Paint the parts of a drawing, one a line; an indented line continues the last."""
        for line in re.sub(r"\n +", " ", drawing).split("\n"):
            if not line:
                continue
            part, material, *numbers = line.split()
            getattr(self, part)(self.materials[material], *map(float, numbers))

    def tube(self, material: Material, width: float, *coordinates: float) -> None:
        """Draw a straight or kinked tube with round ends."""
        self._stroke(material, width, points(coordinates))

    def bent(self, material: Material, width: float, *coordinates: float) -> None:
        """Draw a tube bent smoothly through the points."""
        self._stroke(material, width, curve(points(coordinates)))

    def arc(self, material: Material, width: float, x: float, y: float, *circle: float) -> None:
        """Draw a tube along a circle: radius, first and last angle."""
        radius, first, last = circle
        self._stroke(
            material, width, [polar((x, y), radius, a) for a in np.linspace(first, last, 40)]
        )

    def shape(self, material: Material, edge: float, *coordinates: float) -> None:
        """Draw a smooth closed outline whose rim is round over `edge`."""
        self._area(material, edge, curve(points(coordinates), closed=True))

    def panel(self, material: Material, edge: float, *coordinates: float) -> None:
        """Draw a shape with corners."""
        self._area(material, edge, points(coordinates))

    def oval(self, material: Material, edge: float, *numbers: float) -> None:
        """Draw an ellipse: centre, half width, half height; knobbly if the seed is not 0."""
        x, y, width, height, seed = numbers
        angles = np.linspace(0, 2 * math.pi, 20, endpoint=False)
        reach = np.random.default_rng(int(seed)).uniform(0.95, 1.04, 20) if seed else np.ones(20)
        across, up = x + width * reach * np.cos(angles), y + height * reach * np.sin(angles)
        self.shape(material, edge, *np.stack([across, up], axis=-1).ravel())

    def ring(self, material: Material, radius: float, band: float, x: float, y: float) -> None:
        """Draw a ring by its outer radius and the width of its band, or a disc."""
        x, y = self._pixel((x, y))
        outer, inner = radius * self.scale, (radius - band) * self.scale

        def mark(canvas: ImageDraw.ImageDraw) -> None:
            canvas.ellipse((x - outer, y - outer, x + outer, y + outer), 255)
            if inner > 0:
                canvas.ellipse((x - inner, y - inner, x + inner, y + inner), 0)

        self._paint(material, band / 2, mark)

    def bolts(self, material: Material, radius: float, count: float, x: float, y: float) -> None:
        """Draw small bolt heads on a circle."""
        for angle in np.arange(0, 360, 360 / count):
            self.ring(material, 0.008, 0.008, *polar((x, y), radius, angle))

    def wire_wheel(self, material: Material, tyre: float, *numbers: float) -> None:
        """Draw a wheel with wire spokes: hub, radius, number of spokes."""
        x, y, radius, spokes = numbers
        canvas = ImageDraw.Draw(self.layer)
        for spoke in range(int(spokes)):
            angle = 360 * spoke / spokes
            inner = polar((x, y), 0.024, angle + (70 if spoke % 2 else -70))
            outer = polar((x, y), radius - tyre, angle)
            grey = 220 if spoke % 3 == 0 else 150
            canvas.line([self._pixel(inner), self._pixel(outer)], (grey, grey, grey + 4, 255), 3)
        self.ring(self.materials["steel"], radius - tyre + 0.008, 0.020, x, y)
        self.ring(material, radius, tyre, x, y)
        self.ring(self.materials["steel"], 0.028, 0.028, x, y)
        self.ring(self.materials["black"], 0.011, 0.011, x, y)

    def cast_wheel(self, material: Material, tyre: float, *numbers: float) -> None:
        """Draw a wheel with five double spokes: hub, radius."""
        x, y, radius = numbers
        for angle in range(18, 378, 72):
            for side in (-9, 9):
                inner = polar((x, y), 0.04, angle)
                outer = polar((x, y), radius - tyre, angle + side)
                self._stroke(self.materials["black"], 0.026, [inner, outer])
        self.ring(self.materials["black"], radius - tyre + 0.012, 0.030, x, y)
        self.ring(material, radius, tyre, x, y)

    def brake(self, material: Material, radius: float, x: float, y: float) -> None:
        """Draw a brake disc with its caliper, around a hub."""
        self.ring(material, radius, 0.045, x, y)
        self.bolts(self.materials["black"], radius - 0.023, 12, x, y)
        self.ring(self.materials["engine"], 0.06, 0.06, x, y)
        self.ring(self.materials["steel"], 0.022, 0.022, x, y)
        offsets = np.array([(-0.15, 0.02), (-0.15, 0.12), (-0.09, 0.10), (-0.10, 0.01)])
        self.shape(self.materials["black"], 0.02, *np.add(offsets, (x, y)).ravel())

    def cylinder(self, material: Material, width: float, *axis: float) -> None:
        """Draw an air-cooled cylinder with its fins, from foot to head."""
        foot, head = points(axis)
        share = width / 2 / math.dist(foot, head)
        across = ((head[1] - foot[1]) * share, (foot[0] - head[0]) * share)
        self._stroke(self.materials["iron"], width * 0.72, [foot, head])
        for step in np.linspace(0.22, 0.88, 8):
            x, y = along(foot, head, step)
            fin = [(x - across[0], y - across[1]), (x + across[0], y + across[1])]
            self._stroke(material, 0.016, fin)
        cover = [
            along(head, (head[0] + a * across[0], head[1] + a * across[1]), 0.7) for a in (-1, 1)
        ]
        self._stroke(self.materials["chrome"], 0.062, cover)

    def spring(self, material: Material, *axis: float) -> None:
        """Draw a shock absorber between two points."""
        low, high = points(axis)
        self._stroke(self.materials["chrome"], 0.022, [low, high])
        for step in range(9):
            x, y = along(low, high, 0.18 + 0.07 * step)
            self._stroke(material, 0.014, [(x - 0.034, y - 0.012), (x + 0.034, y + 0.012)])

    def _pixel(self, point: Point) -> Point:
        return self.origin[0] + point[0] * self.scale, self.origin[1] - point[1] * self.scale

    def _stroke(self, material: Material, width: float, path: Sequence[Point]) -> None:
        pixels = [self._pixel(point) for point in path]
        thickness = max(1, round(width * self.scale))
        radius = thickness / 2 - 0.5

        def mark(canvas: ImageDraw.ImageDraw) -> None:
            canvas.line(pixels, 255, thickness, joint="curve")
            for x, y in (pixels[0], pixels[-1]):
                canvas.ellipse((x - radius, y - radius, x + radius, y + radius), 255)

        self._paint(material, width / 2, mark)

    def _area(self, material: Material, edge: float, path: Sequence[Point]) -> None:
        pixels = [self._pixel(point) for point in path]
        self._paint(material, edge, lambda canvas: canvas.polygon(pixels, 255))

    def _paint(
        self, material: Material, edge: float, mark: Callable[[ImageDraw.ImageDraw], None]
    ) -> None:
        mask = Image.new("L", SIZE)
        mark(ImageDraw.Draw(mask))
        left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
        blur = max(1.0, edge * self.scale * 0.8)
        margin = math.ceil(3 * blur)
        left, top = max(left - margin, 0), max(top - margin, 0)
        mask = mask.crop((left, top, right + margin, bottom + margin))
        height = np.asarray(mask.filter(ImageFilter.GaussianBlur(blur)), np.float32) / 255
        lit = Image.fromarray(light(height * blur * 2.4, material))
        lit.putalpha(mask)
        self.layer.alpha_composite(lit, (left, top))


def light(height: Pixels, material: Material) -> np.ndarray:
    """The colours of a surface with this height map (pixels): diffuse light, a highlight, sky."""
    for axis in (0, 1):  # smooth away the 256 levels of the mask
        height = sum(np.roll(height, shift, axis) for shift in range(-3, 4)) / 7
    down, right = np.gradient(height)
    normal = np.stack([-right, -down, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    diffuse = (normal @ LIGHT).clip(0, 1)[..., None]
    halfway = LIGHT + np.array([0, 0, 1], np.float32)
    highlight = (normal @ (halfway / np.linalg.norm(halfway))).clip(0, 1)[..., None] ** 40
    lit = np.array(material.colour, np.float32) * (0.34 + 0.78 * diffuse)
    if material.mirror:  # ground below, a dark horizon, a bright sky
        sky = np.interp(
            -normal[..., 1:2], [-1, -0.25, -0.02, 0.1, 0.5, 1], [60, 105, 30, 150, 255, 215]
        )
        lit = lit * (1 - material.mirror) + sky * material.mirror
    return (lit + 235 * material.shine * highlight).clip(0, 255).astype(np.uint8)


def points(coordinates: Sequence[float]) -> list[Point]:
    return list(zip(coordinates[::2], coordinates[1::2], strict=True))


def curve(knots: Sequence[Point], *, closed: bool = False) -> list[Point]:
    """A Catmull-Rom spline through the knots."""
    k = np.array(knots)
    k = np.vstack([k[-1], k, k[:2]] if closed else [k[0], k, k[-1]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    path = [
        b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - a - 3 * c + d))) / 2
        for a, b, c, d in zip(k, k[1:], k[2:], k[3:], strict=False)
    ]
    return [(x, y) for x, y in np.vstack([*path, k[-2:-1]])]


def polar(centre: Point, radius: float, degrees: float) -> Point:
    angle = math.radians(degrees)
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def along(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


# ── Places ──


def noise(seed: int, columns: int, rows: int) -> Pixels:
    """Smooth random values of about -1 to 1 over SIZE, with `columns` by `rows` bumps."""
    values = np.random.default_rng(seed).integers(0, 256, (rows, columns), np.uint8)
    smooth = Image.fromarray(values).resize(SIZE, Image.Resampling.BICUBIC)
    return (np.asarray(smooth, np.float32) / 127.5 - 1)[..., None]


def speckle(seed: int) -> Pixels:
    """Normal noise for each pixel of SIZE."""
    return np.random.default_rng(seed).standard_normal((SIZE[1], SIZE[0], 1), np.float32)


def plain(colour: Sequence[float]) -> Pixels:
    return np.full((SIZE[1], SIZE[0], 3), colour, np.float32)


def picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def emboss(mask: Image.Image, depth: float) -> Pixels:
    """How bright a relief of this mask is: 1 where it is flat."""
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(3)), np.float32) / 255
    flat = light(np.zeros((2, 2), np.float32), Material((128, 128, 128), 0))[0, 0, 0]
    return light(height * depth, Material((128, 128, 128), 0))[..., :1].astype(np.float32) / flat


def perspective(image: Image.Image, corners: Sequence[Point]) -> Image.Image:
    """Move the corners of a SIZE image (top left, top right, bottom right, bottom left)."""
    width, height = SIZE
    system, target = [], []
    for (x, y), (u, v) in zip(
        corners, [(0, 0), (width, 0), (width, height), (0, height)], strict=True
    ):
        system += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        target += [u, v]
    coefficients = np.linalg.solve(np.array(system, float), np.array(target, float))
    return image.transform(
        SIZE, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
    )


def lay_ground(scene: Image.Image, ground: Pixels) -> None:
    """Lay a SIZE texture down as the ground, from the horizon to the lower edge."""
    width, height = SIZE
    flat = perspective(
        picture(ground),
        [
            (-0.1 * width, HORIZON),
            (1.1 * width, HORIZON),
            (2.6 * width, height),
            (-1.6 * width, height),
        ],
    )
    scene.paste(flat.crop((0, HORIZON, width, height)), (0, HORIZON))


def tiles(width: int, height: int, gap: int, seed: int, *, shift: bool) -> tuple[Pixels, Pixels]:
    """Bricks or slabs over SIZE: their relief, and their random brightness."""
    random = np.random.default_rng(seed)
    mask, tone = Image.new("L", SIZE), Image.new("L", SIZE, 128)
    for row, y in enumerate(range(0, SIZE[1], height)):
        for x in range(-width // 2 if shift and row % 2 else 0, SIZE[0], width):
            box = (x + gap, y + gap, x + width - 1, y + height - 1)
            ImageDraw.Draw(mask).rectangle(box, 255)
            ImageDraw.Draw(tone).rectangle(box, int(random.integers(96, 160)))
    relief = emboss(mask, 5) * (0.72 + 0.28 * np.asarray(mask, np.float32)[..., None] / 255)
    return relief, np.asarray(tone, np.float32)[..., None] / 128


def paving(seed: int, colour: Sequence[float]) -> Pixels:
    relief, tone = tiles(170, 130, 5, seed, shift=True)
    return plain(colour) * relief * (0.7 + 0.3 * tone) + 7 * noise(seed, 60, 45) + 9 * speckle(seed)


def asphalt(seed: int, colour: Sequence[float]) -> Pixels:
    return (
        plain(colour) + 6 * noise(seed, 9, 14) + 5 * noise(seed + 1, 120, 90) + 15 * speckle(seed)
    )


def brick_wall() -> Image.Image:
    relief, tone = tiles(168, 56, 7, 11, shift=True)
    wall = plain((158, 92, 70)) * relief * (0.55 + 0.45 * tone)
    wall += 9 * noise(12, 16, 10) + 7 * noise(13, 200, 150) + 6 * speckle(14)
    scene = picture(wall)
    draw = ImageDraw.Draw(scene)
    draw.rectangle((1760, 90, 2190, 720), (224, 218, 204))
    draw.rectangle((1790, 120, 2160, 690), (70, 84, 92))
    draw.polygon([1790, 120, 2160, 120, 2160, 300, 1790, 520], (128, 146, 158))
    draw.rectangle((1960, 120, 1985, 690), (224, 218, 204))
    draw.rectangle((1790, 390, 2160, 412), (224, 218, 204))
    draw.rectangle((1730, 720, 2220, 765), (188, 182, 170))
    draw.rectangle((1730, 765, 2220, 780), (92, 58, 46))
    draw.rectangle((0, 930, SIZE[0], HORIZON), (112, 108, 102))
    scene = scene.filter(ImageFilter.GaussianBlur(3.5))
    lay_ground(scene, paving(21, (168, 162, 152)))
    return scene


def shutter() -> Image.Image:
    rows = np.arange(SIZE[1], dtype=np.float32)[:, None, None]
    slats = plain((150, 158, 160)) * (0.86 + 0.16 * np.sin(rows / 46 * 2 * math.pi)) + 6 * noise(
        31, 12, 8
    )
    wall = (
        plain((206, 190, 158)) + 10 * noise(32, 10, 7) + 5 * noise(33, 160, 120) + 5 * speckle(34)
    )
    scene = picture(wall)
    scene.paste(picture(slats + 3 * speckle(35)).crop((420, 40, 2080, HORIZON)), (420, 40))
    draw = ImageDraw.Draw(scene)
    for x in (396, 2080):
        draw.rectangle((x, 40, x + 24, HORIZON), (92, 96, 98))
    draw.rectangle((0, 880, 396, HORIZON), (150, 132, 108))
    draw.rectangle((2104, 880, SIZE[0], HORIZON), (150, 132, 108))
    scene = scene.filter(ImageFilter.GaussianBlur(4))
    lay_ground(scene, asphalt(36, (152, 150, 146)))
    return scene


def facades(draw: ImageDraw.ImageDraw, seed: int, *, night: bool = False) -> None:
    """A row of houses with windows and shops, standing on the horizon."""
    random = np.random.default_rng(seed)
    x = -60
    while x < SIZE[0]:
        width, top = int(random.integers(380, 620)), int(random.integers(-120, 190))
        tone = random.integers(28, 52, 3) if night else random.integers(128, 206, 3)
        base = tuple(int(channel) for channel in (tone + tone.mean()) / 2)
        draw.rectangle((x, top, x + width, HORIZON), base)
        for row in range(top + 60, 640, 190):
            for column in range(x + 50, x + width - 90, 140):
                lit = night and random.random() < 0.4
                pane = (250, 206, 128) if lit else (24, 28, 38) if night else (82, 96, 110)
                draw.rectangle((column, row, column + 80, row + 120), pane)
        awning = tuple(int(c) for c in random.integers(60, 180, 3) * (0.4 if night else 1))
        draw.rectangle((x + 30, 700, x + width - 30, 750), awning)
        shop = (255, 214, 150) if night else (66, 72, 78)
        draw.rectangle((x + 40, 750, x + width - 40, 950), shop)
        x += width


def street() -> Image.Image:
    rows = np.linspace(0, 1, SIZE[1], dtype=np.float32)[:, None, None]
    scene = picture(plain((172, 200, 226)) + rows * np.array([60, 40, 10]))
    draw = ImageDraw.Draw(scene)
    facades(draw, 41)
    random = np.random.default_rng(42)
    for _ in range(260):
        x, y = random.normal((420, 260), (190, 150))
        radius, green = random.integers(20, 60), int(random.integers(70, 130))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), (green - 30, green, 44))
    draw.rectangle((405, 380, 445, HORIZON), (74, 62, 50))
    for x, colour in ((900, (56, 82, 122)), (1720, (176, 176, 172))):
        draw.rounded_rectangle((x, 810, x + 640, 980), 70, colour)
        draw.rounded_rectangle((x + 120, 700, x + 500, 860), 80, colour)
        draw.rounded_rectangle((x + 145, 725, x + 475, 820), 50, (50, 58, 66))
        for wheel in (x + 140, x + 500):
            draw.ellipse((wheel - 60, 915, wheel + 60, 1035), (28, 28, 30))
    scene = scene.filter(ImageFilter.GaussianBlur(17))
    ground = asphalt(43, (122, 122, 124))
    ground[40:150] = ground[40:150] * 0.4 + 110
    ground[150:170] *= 0.55
    lay_ground(scene, ground)
    return scene


def park() -> Image.Image:
    greens = (
        plain((86, 118, 56))
        + 46 * noise(51, 14, 10)
        + 34 * noise(52, 40, 30)
        + 16 * noise(53, 120, 90)
    )
    rows = np.linspace(1, 0, SIZE[1], dtype=np.float32)[:, None, None]
    scene = picture(greens * np.array([1, 1.02, 0.8]) + rows**2 * np.array([120, 128, 110]))
    draw = ImageDraw.Draw(scene)
    for x, width in ((220, 90), (760, 60), (1500, 74), (2120, 110)):
        draw.polygon(
            [
                (x - width, HORIZON),
                (x - width // 2, -20),
                (x + width // 2, -20),
                (x + width, HORIZON),
            ],
            (66, 56, 44),
        )
    draw.rectangle((0, 900, SIZE[0], HORIZON), (104, 134, 62))
    scene = bokeh(scene.filter(ImageFilter.GaussianBlur(22)), 54, 70, (255, 250, 200), 0.16, 700)
    lay_ground(scene, asphalt(55, (186, 170, 142)) + 10 * noise(56, 30, 60))
    return scene


def dusk() -> Image.Image:
    rows = np.linspace(0, 1, SIZE[1], dtype=np.float32)[:, None, None]
    scene = picture(plain((38, 46, 84)) + rows * np.array([70, 34, 4]))
    facades(ImageDraw.Draw(scene), 61, night=True)
    scene = bokeh(scene.filter(ImageFilter.GaussianBlur(20)), 62, 60, (255, 190, 110), 0.5, 980)
    mirrored = scene.crop((0, 2 * HORIZON - SIZE[1], SIZE[0], HORIZON)).transpose(
        Image.Transpose.FLIP_TOP_BOTTOM
    )
    lay_ground(scene, asphalt(63, (74, 74, 82)))
    wet = Image.blend(
        scene.crop((0, HORIZON, *SIZE)), mirrored.filter(ImageFilter.GaussianBlur(26)), 0.45
    )
    scene.paste(wet, (0, HORIZON))
    return scene


def bokeh(
    scene: Image.Image,
    seed: int,
    count: int,
    colour: tuple[int, int, int],
    strength: float,
    low: int,
) -> Image.Image:
    """Add lights that are out of focus, above pixel row `low`."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        radius, x, y = random.integers(14, 46), random.integers(0, SIZE[0]), random.integers(0, low)
        share = strength * random.uniform(0.3, 1)
        box = (int(x - radius), int(y - radius), int(x + radius), int(y + radius))
        spot = Image.new("RGB", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(spot).ellipse(
            (0, 0, *(side - 1 for side in spot.size)), tuple(int(c * share) for c in colour)
        )
        scene.paste(ImageChops.screen(scene.crop(box), spot), box)
    return scene


# ── Photographs ──


def photograph(
    place: Callable[[], Image.Image],
    drawing: str,
    materials: dict[str, Material | str],
    *,
    scale: float,  # pixels per metre
    left: float,  # pixel column of the rear hub
    turn: float = 0.0,  # how much larger the front is than the rear, as a share
    flip: bool = False,  # show its left side
    wall: bool = False,  # a wall behind it takes its shadow
    night: bool = False,
    grain: float = 4.0,
) -> Image.Image:
    """A vehicle in a place, with its shadow, as a small camera sees it."""
    painter = Painter(scale, (left, 1560), **materials)
    painter.draw(drawing)
    layer = turned(painter.layer, turn)
    alpha = layer.getchannel("A")
    scene = place()
    if wall:
        behind = ImageChops.offset(alpha, 70, 36)
        behind.paste(0, (0, HORIZON, *SIZE))
        shade(scene, behind, blur=26, strength=0.42)
    lean, squash, road = -0.55, 0.16, alpha.getbbox()[3]
    lying = alpha.transform(
        SIZE,
        Image.Transform.AFFINE,
        (1, -lean / squash, lean * road / squash, 0, 1 / squash, road - road / squash),
    )
    dim = 0.55 if night else 1
    shade(scene, lying, blur=9, strength=0.40 * dim)
    shade(scene, lying, blur=34, strength=0.36 * dim)
    vehicle = ImageEnhance.Brightness(layer.convert("RGB")).enhance(0.62 if night else 1)
    scene.paste(vehicle, mask=alpha)
    if flip:
        scene = scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return developed(scene, grain)


def shade(scene: Image.Image, mask: Image.Image, *, blur: float, strength: float) -> None:
    soft = mask.filter(ImageFilter.GaussianBlur(blur)).point(lambda value: value * strength)
    scene.paste((8, 9, 14), mask=soft)


def turned(layer: Image.Image, turn: float) -> Image.Image:
    """See a side view a little from the front (turn > 0) or from the rear."""
    width, height = SIZE
    eye, inset = HORIZON - 160, abs(turn) * 0.22 * width
    rear, front = 1 - turn / 2, 1 + turn / 2
    top, bottom = -eye, height - eye
    return perspective(
        layer,
        [
            (inset, eye + top * rear),
            (width - inset, eye + top * front),
            (width - inset, eye + bottom * front),
            (inset, eye + bottom * rear),
        ],
    )


def developed(scene: Image.Image, grain: float = 4.0) -> Image.Image:
    """Add what lens and sensor add: softness, darker corners, grain."""
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(1.6)), np.float32)
    x, y = np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]))
    vignette = (1 - 0.16 * (x**2 + y**2))[..., None]
    return picture(pixels * vignette + grain * speckle(71))


def scone() -> Image.Image:
    """A scone with jam and cream on a plate: no vehicle."""
    wood = plain((150, 104, 66)) + 22 * noise(81, 5, 120) + 12 * noise(82, 14, 300)
    relief, tone = tiles(2400, 300, 8, 84, shift=False)
    scene = picture(wood * relief * (0.6 + 0.4 * tone)).filter(ImageFilter.GaussianBlur(2))
    painter = Painter(1000, (1200, 1050))
    painter.draw(PLATE)
    plate = painter.layer.getchannel("A")
    shade(scene, ImageChops.offset(plate, 60, 60), blur=40, strength=0.55)
    scene.paste(painter.layer, mask=plate)
    foot = Image.new("L", SIZE)
    ImageDraw.Draw(foot).ellipse((780, 1010, 1900, 1420), 255)
    shade(scene, ImageChops.multiply(foot, plate), blur=45, strength=0.5)
    painter = Painter(1000, (1200, 1050))
    painter.draw(SCONE)
    crumbs = 1 + 0.10 * noise(88, 90, 68) + 0.08 * noise(89, 240, 180)
    baked = picture(np.asarray(painter.layer.convert("RGB"), np.float32) * crumbs)
    scene.paste(baked, mask=painter.layer.getchannel("A"))
    painter = Painter(1000, (1200, 1050))
    painter.draw(JAM_AND_CREAM)
    scene.paste(painter.layer, mask=painter.layer.getchannel("A"))
    return developed(scene)


# ── The files ──


def bicycle(bar: str, *, tyre: float, extras: str = "") -> str:
    wheels = BICYCLE_WHEELS.replace("TYRE", str(tyre))
    return wheels + extras + BICYCLE_FRAME + bar


def courier_bicycle() -> Image.Image:
    drawing = bicycle(CITY_BAR, tyre=0.040, extras=MUDGUARDS + RACK_AND_BOX)
    colours = {"paint": paint(170, 28, 30), "seat": "leather"}
    return photograph(brick_wall, drawing, colours, scale=1120, left=760, turn=0.12, wall=True)


def racing_bicycle() -> Image.Image:
    drawing = bicycle(DROP_BAR, tyre=0.028)
    colours = {"paint": paint(28, 60, 130), "seat": "black"}
    return photograph(park, drawing, colours, scale=1250, left=560, turn=-0.15)


def mountain_bicycle() -> Image.Image:
    drawing = bicycle(FLAT_BAR, tyre=0.058)
    colours = {"paint": paint(196, 158, 20), "seat": "black"}
    return photograph(street, drawing, colours, scale=1180, left=620, turn=0.22, flip=True, grain=0)


def roadster() -> Image.Image:
    colours = {"paint": paint(20, 84, 62), "trim": "steel", "exhaust": "chrome", "seat": "leather"}
    return photograph(street, ROADSTER, colours, scale=900, left=560, turn=0.2)


def cruiser() -> Image.Image:
    colours = {"paint": paint(90, 12, 20), "trim": "chrome", "exhaust": "chrome"}
    colours["seat"] = "brown_leather"
    return photograph(dusk, CRUISER, colours, scale=860, left=560, turn=0.1, night=True)


def sport_motorcycle() -> Image.Image:
    colours = {"paint": paint(190, 24, 28), "trim": "engine", "exhaust": "steel", "seat": "leather"}
    return photograph(shutter, SPORT, colours, scale=960, left=620, turn=-0.1, flip=True, wall=True)


def paint(red: int, green: int, blue: int) -> Material:
    return Material((red, green, blue), 0.75, 0.12)


def encoded(image: Image.Image, form: str, quality: int, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, quality=quality, **options)
    return stream.getvalue()


def small(image: Image.Image) -> Image.Image:
    return image.resize((1000, 750), Image.Resampling.LANCZOS)


def from_a_phone(image: Image.Image) -> bytes:
    """12 megapixels as a phone held upright stores them: on their side, with a note to turn."""
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise to see it upright
    stored = image.resize((4000, 3000), Image.Resampling.BICUBIC).transpose(
        Image.Transpose.ROTATE_90
    )
    return encoded(stored, "JPEG", 32, exif=exif, optimize=True)


def half_sent() -> bytes:
    whole = encoded(small(courier_bicycle()), "JPEG", 40)
    return whole[: len(whole) // 2]


PHOTOS: dict[str, Callable[[], bytes]] = {
    "bicycle-courier.jpg": lambda: encoded(small(courier_bicycle()), "JPEG", 72),
    "bicycle-racing.webp": lambda: encoded(small(racing_bicycle()), "WEBP", 60),
    "bicycle-sideways-12mp.jpg": lambda: from_a_phone(mountain_bicycle()),
    "motorcycle-roadster.jpg": lambda: encoded(small(roadster()), "JPEG", 72),
    "motorcycle-at-night.heic": lambda: encoded(small(cruiser()), "HEIF", 45),
    "motorcycle-sport.jpg": lambda: encoded(small(sport_motorcycle()), "JPEG", 72),
    "no-vehicle-scone.jpg": lambda: encoded(small(scone()), "JPEG", 72),
    "broken-half-sent.jpg": half_sent,
    "broken-text.jpg": lambda: b"Two scones, clotted cream, strawberry jam. No photo here.\n",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the sample photos.")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "photos", help="folder (%(default)s)"
    )
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PHOTOS.items():
        contents = draw()
        (folder / name).write_bytes(contents)
        print(f"{len(contents) / 1000:7.1f} kB  {folder / name}", flush=True)


register_heif_opener()

if __name__ == "__main__":
    main()
