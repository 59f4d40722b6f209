"""Draw the sample photos of `make run`: bicycles, motorcycles, a scone, and two broken files.

    .venv/bin/python -m local.draw_photos

Drawn, so that the project owns them, and always the same: every random number has a fixed seed.

A drawing is a list of parts, painted one over the other. A line names a part (a method of
Painter), a material, a width (of a tube, or of the round rim of an area), and points x y, all in
metres: the rear hub is above x = 0, the road is y = 0, the vehicle looks to the right. In the
code a point is a complex number, x + iy, and a path is an array of them.
"""

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from pillow_heif import register_heif_opener

WIDTH, HEIGHT = SIZE = (1600, 1200)  # pixels drawn; a photo is scaled from this
HORIZON = 690  # pixel row where houses meet the ground
ROAD = 1040  # pixel row of y = 0
REAR = 400  # pixel column of x = 0
SCALE = 660  # pixels per metre

Colour = tuple[int, int, int]


class Material(NamedTuple):
    """A surface: its colour, how much it shines, how much of the sky it mirrors (0 to 1)."""

    colour: Colour
    shine: float = 0.3
    mirror: float = 0.0


MATERIALS = {
    "black": Material((34, 35, 38)),
    "chrome": Material((205, 209, 214), 0.6, 0.7),
    "cream": Material((250, 244, 228)),
    "crust": Material((178, 108, 46), 0.1),
    "dough": Material((224, 178, 112), 0.0),
    "engine": Material((118, 121, 125), 0.4, 0.1),
    "glass": Material((226, 232, 236), 0.9, 0.4),
    "jam": Material((150, 14, 30), 0.9),
    "rubber": Material((36, 36, 38), 0.05),
    "steel": Material((172, 176, 180), 0.5, 0.3),
    "teal": Material((30, 130, 140), 0.2),
    "white": Material((236, 236, 232), 0.5),
    "wood": Material((150, 104, 66), 0.1),
}

BICYCLE = """
wheel rubber {tyre}  0 .345  .345 32 .003
wheel rubber {tyre}  1.03 .345  .345 32 .003
{extras}
tube engine .008  0 .381  .43 .377
tube engine .008  0 .309  .43 .193
oval steel .02  0 .345  .036 .036
tube paint .02  .43 .285  0 .345  .29 .76
tube steel .027  .297 .736  .262 .87
tube paint .036  .883 .681  .43 .285  .29 .76
tube paint .034  .298 .732  .855 .769
bent paint .024  .89 .66  .967 .487  1.03 .345
tube paint .046  .89 .66  .845 .8
shape black .022  .1 .905  .12 .93  .2 .925  .3 .915  .4 .922  .415 .908  .33 .893  .26 .868
    .16 .858  .11 .872
arc steel .016  .43 .285  .084 0 360
tube engine .013  .364 .333  .43 .285  .512 .285  .43 .285  .455 .363  .43 .285  .455 .207
tube steel .024  .43 .285  .59 .227
tube black .028  .535 .227  .645 .227
tube steel .016  .12 .3  .06 .02
tube steel .026  .845 .8  .825 .87  .875 .89
{bar}
"""
CITY_BAR = """
bent steel .021  .875 .89  .895 .93  .765 .896  .675 .9
tube black .034  .785 .895  .675 .9
tube black .055  .875 .8  .945 .79
tube glass .024  .967 .808  .967 .772
"""
DROP_BAR = """
bent black .028  .875 .89  .985 .88  1.04 .845  1.035 .775  .965 .74  .875 .745
bent steel .014  1.04 .875  1.065 .805  1.035 .765
"""
DELIVERY_BOX = """
arc paint .03  0 .345  .367 12 172
arc paint .03  1.03 .345  .367 28 158
tube black .012  -.32 .745  .24 .745  -.02 .745  -.02 .355  -.22 .745
shape teal .02  -.36 .79  -.34 .76  .09 .76  .11 .79  .11 1.15  .09 1.18  -.34 1.18  -.36 1.15
tube white .022  -.35 .85  .1 .85
oval cream .02  -.125 1  .075 .075
oval crust .02  -.125 1  .05 .035
"""
MOTORCYCLE = """
tube black .05  1.07 .985  1.4 .315
wheel rubber .1  0 .315  .315 10 .026
wheel rubber .085  1.42 .315  .315 10 .026
arc steel .04  0 .315  .12 0 360
arc steel .04  1.42 .315  .12 0 360
tube black .018  0 .4  .5 .44  .5 .35  0 .23
bent steel .055  0 .315  .26 .37  .52 .41
tube black .06  .05 .42  .17 .68
tube chrome .03  .04 .38  .2 .74
bent black .042  1.07 .84  .95 .42  .84 .27  .46 .28  .53 .42  .48 .74
tube black .05  .4 .79  1.07 .9
shape paint .03  .44 .56  .6 .54  .61 .74  .42 .76  .38 .68
tube black .17  .75 .52  .79 .73
tube steel .014  .65 .56  .86 .54  .65 .59  .87 .57  .66 .62  .87 .6  .67 .65  .88 .63  .67 .68
    .88 .66  .68 .71  .89 .69  .68 .74  .89 .72
tube chrome .07  .715 .785  .885 .755
shape engine .04  .46 .335  .5 .495  .64 .555  .84 .535  .94 .435  .9 .285  .74 .245  .54 .255
oval steel .06  .64 .395  .072 .072
oval steel .05  .83 .405  .066 .066
bent chrome .046  .9 .64  1.01 .56  .99 .34  .86 .215  .45 .215
tube chrome .098  .4 .22  -.18 .275
oval black .03  -.215 .279  .03 .035
arc paint .06  0 .315  .365 60 148
tube jam .07  -.2 .74  -.27 .72
shape black .045  -.22 .83  -.16 .885  .08 .885  .24 .855  .44 .845  .57 .89  .57 .8  .36 .765
    .02 .775  -.16 .79
shape paint .085  .53 .795  .545 .885  .65 .985  .84 1.025  1 .985  1.055 .905  .99 .845  .76 .795
tube chrome .046  1.1 .985  1.42 .315
tube steel .066  1.254 .663  1.42 .315
arc paint .05  1.42 .315  .35 42 146
shape chrome .06  1.25 1.035  1.15 1.019  1.1 .93  1.15 .841  1.25 .825
oval glass .04  1.25 .93  .05 .105
bent steel .027  1.08 1.04  1.06 1.15  .95 1.132  .84 1.115
tube rubber .042  .983 1.138  .84 1.115
tube black .012  1 1.1  1.02 1.27
oval black .025  1.02 1.275  .075 .04
tube steel .022  .5 .28  .4 .03
"""
SCONE = """
oval wood .02  .5 .15  1.05 .4
oval white .05  .5 .2  .75 .34
oval white .04  .5 .2  .55 .22
shape dough .1  .1 .36  .14 .14  .3 .07  .5 .05  .72 .07  .87 .15  .9 .37  .5 .42
oval jam .06  .5 .36  .4 .1
shape cream .07  .12 .42  .2 .36  .34 .4  .5 .33  .66 .39  .8 .35  .88 .42  .8 .52  .2 .52
shape dough .1  .1 .66  .14 .45  .3 .41  .5 .43  .7 .4  .86 .46  .9 .67  .7 .7  .3 .7
oval crust .09  .5 .68  .4 .13
"""


class Painter:
    """Paints the parts of a drawing, one a line, onto a transparent layer."""

    def __init__(self, drawing: str, paint: Colour) -> None:
        self.layer = Image.new("RGBA", SIZE)
        materials = MATERIALS | {"paint": Material(paint, 0.7, 0.1)}
        for line in drawing.replace("\n ", " ").split("\n"):  # indented: continues the last
            if line:
                part, material, width, *numbers = line.split()
                getattr(self, part)(materials[material], float(width), *map(float, numbers))

    def tube(self, material: Material, width: float, *numbers: float) -> None:
        """Draw a straight or kinked tube with round ends."""
        self._paint(material, width, points(numbers))

    def bent(self, material: Material, width: float, *numbers: float) -> None:
        """Draw a tube bent smoothly through the points."""
        path = points(numbers)
        self._paint(material, width, curve([path[0], *path, path[-1]]))

    def arc(self, material: Material, width: float, *numbers: float) -> None:
        """Draw a tube along a circle: centre, radius, first and last angle in degrees."""
        x, y, radius, first, last = numbers
        self._paint(material, width, x + 1j * y + radius * turns(np.linspace(first, last, 60)))

    def shape(self, material: Material, rim: float, *numbers: float) -> None:
        """Draw a smooth closed outline."""
        path = points(numbers)
        self._paint(material, rim, curve([path[-1], *path, *path[:2]]), area=True)

    def oval(self, material: Material, rim: float, *numbers: float) -> None:
        """Draw an ellipse: centre, half width, half height."""
        x, y, width, height = numbers
        circle = turns(np.linspace(0, 360, 60))
        path = x + 1j * y + width * circle.real + 1j * height * circle.imag
        self._paint(material, rim, path, area=True)

    def wheel(self, tyre: Material, width: float, *numbers: float) -> None:
        """Draw a wheel: hub, radius, number and width of the spokes."""
        x, y, radius, spokes, spoke = numbers
        hub, rim = 0.03, radius - width
        reach = np.where(np.arange(spokes + 1) % 2, hub, rim)
        path = x + 1j * y + reach * turns(np.linspace(0, 360, len(reach)))
        self._paint(MATERIALS["steel" if spoke < 0.01 else "black"], spoke, path)
        self.arc(MATERIALS["steel"], 0.018, x, y, rim, 0, 360)
        self.arc(tyre, width, x, y, radius - width / 2, 0, 360)
        self.oval(MATERIALS["steel"], 0.02, x, y, hub, hub)

    def _paint(
        self, material: Material, width: float, path: np.ndarray, *, area: bool = False
    ) -> None:
        """Paint a tube of this width, or an area with a rim of this width."""
        pixels = [(REAR + point.real * SCALE, ROAD - point.imag * SCALE) for point in path]
        mask = Image.new("L", SIZE)
        canvas = ImageDraw.Draw(mask)
        if area:
            canvas.polygon(pixels, 255)
        else:
            thickness = max(1, round(width * SCALE))
            canvas.line(pixels, 255, thickness, joint="curve")
            for end in (pixels[0], pixels[-1]):
                canvas.circle(end, thickness / 2 - 0.5, 255)
        blur = max(1.0, width * SCALE * (0.7 if area else 0.35))
        margin = math.ceil(3 * blur)
        left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
        left, top = max(left - margin, 0), max(top - margin, 0)
        mask = mask.crop((left, top, right + margin, bottom + margin))
        lit = Image.fromarray(light(mask, blur, material))
        lit.putalpha(mask)
        self.layer.alpha_composite(lit, (left, top))


def light(mask: Image.Image, blur: float, material: Material) -> np.ndarray:
    """Light a surface whose height is its blurred mask, from the upper left: uint8 [h, w, RGB]."""
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(blur)), np.float32) / 255
    right, down = round(0.45 * blur), round(0.85 * blur)
    slope = np.roll(height, (-down, -right), (0, 1)) - np.roll(height, (down, right), (0, 1))
    slope = slope[..., None]  # 1 towards the sun, 0 flat, -1 away from it
    sky = np.interp(slope, [-0.8, -0.3, -0.02, 0.1, 0.4, 0.8], [50, 100, 40, 150, 255, 215])
    lit = np.array(material.colour) * (0.82 + 0.5 * slope)
    lit += material.mirror * (sky - lit)
    lit += 220 * material.shine * np.exp(-(((slope - 0.5) / 0.1) ** 2))
    return lit.clip(0, 255).astype(np.uint8)


def points(numbers: Sequence[float]) -> np.ndarray:
    return np.array(numbers[::2]) + 1j * np.array(numbers[1::2])


def turns(degrees: np.ndarray) -> np.ndarray:
    """Points of the unit circle."""
    return np.exp(1j * np.radians(degrees))


def curve(knots: Sequence[complex]) -> np.ndarray:
    """Bend a Catmull-Rom spline through all knots but the first and the last."""
    t = np.linspace(0, 1, 12)
    pieces = [
        b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - a - 3 * c + d))) / 2
        for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False)
    ]
    return np.concatenate(pieces)


def wall() -> Image.Image:
    """A brick wall with a window."""
    random = np.random.default_rng(1)
    scene = Image.new("RGB", SIZE, (176, 164, 150))
    draw = ImageDraw.Draw(scene)
    for row, y in enumerate(range(0, HORIZON, 38)):
        for x in range(-56 * (row % 2), WIDTH, 112):
            red, green, blue = (random.integers(-16, 16) + np.array([158, 90, 68])).tolist()
            draw.rectangle((x, y, x + 107, y + 33), (red, green, blue))
    draw.rectangle((1170, 60, 1460, 480), (224, 218, 204))
    for x in (1190, 1325):
        draw.rectangle((x, 80, x + 115, 460), (78, 92, 100))
        draw.polygon((x, 80, x + 115, 80, x + 115, 220, x, 380), (128, 146, 158))
    draw.rectangle((1150, 480, 1480, 510), (188, 182, 170))
    draw.rectangle((0, 640, WIDTH, HORIZON), (112, 108, 102))
    return with_ground(scene.filter(ImageFilter.GaussianBlur(2)), (160, 155, 146))


def street(*, night: bool = False) -> Image.Image:
    """A row of houses, out of focus; at night with lights in the windows."""
    random = np.random.default_rng(2)
    scene = Image.new("RGB", SIZE, (26, 32, 60) if night else (190, 212, 232))
    draw = ImageDraw.Draw(scene)
    right = -40
    while right < WIDTH:
        left, right = right, right + int(random.integers(260, 420))
        top = int(random.integers(-80, 130))
        tone = random.integers(110, 220, 3)
        red, green, blue = ((tone + tone.mean()) // (10 if night else 2)).astype(int).tolist()
        draw.rectangle((left, top, right, HORIZON), (red, green, blue))
        for y in range(top + 40, 430, 130):
            for x in range(left + 34, right - 60, 94):
                lit = night and random.random() < 0.4
                pane = (250, 206, 128) if lit else (24, 28, 38) if night else (82, 96, 110)
                draw.rectangle((x, y, x + 54, y + 80), pane)
        draw.rectangle((left + 20, 470, right - 20, 505), (blue, red, green))
        shop = (255, 214, 150) if night else (66, 72, 78)
        draw.rectangle((left + 26, 505, right - 26, 640), shop)
    scene = scene.filter(ImageFilter.GaussianBlur(10))
    return with_ground(scene, (50, 50, 58) if night else (124, 124, 126))


def with_ground(scene: Image.Image, colour: Colour) -> Image.Image:
    """Lay paving over what is below the horizon."""
    draw = ImageDraw.Draw(scene)
    red, green, blue = (value * 3 // 4 for value in colour)
    draw.rectangle((0, HORIZON, *SIZE), colour)
    for step in range(1, 9):
        y = HORIZON + 900 / step
        draw.line((0, y, WIDTH, y), (red, green, blue), 1 + 6 // step)
    for x in range(-4000, 6000, 300):
        draw.line((WIDTH / 2 + (x - 800) / 4, HORIZON, x, HEIGHT), (red, green, blue), 3)
    return scene


def photograph(
    scene: Image.Image,
    drawing: str,
    paint: Colour = (0, 0, 0),
    *,
    turn: float = 0.0,  # how much larger the front is than the rear, as a share
    brightness: float = 1.0,  # of the vehicle
) -> Image.Image:
    """Put a vehicle into a scene, with its shadow, as a small camera sees it."""
    tall, wide = turn * HEIGHT / 4, turn * WIDTH / 5
    corners = (-wide, -tall, -wide, HEIGHT + tall, WIDTH + wide, HEIGHT - tall, WIDTH + wide, tall)
    layer = Painter(drawing, paint).layer
    layer = layer.transform(SIZE, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    alpha = layer.getchannel("A")
    lying = (1, 3.4, -3.4 * ROAD, 0, 6, -5 * ROAD)  # the sun is behind the viewer, to the left
    shadow = alpha.transform(SIZE, Image.Transform.AFFINE, lying)
    for blur in (6, 24):
        soft = shadow.filter(ImageFilter.GaussianBlur(blur))
        scene.paste((8, 9, 14), mask=soft.point(lambda value: value * 0.4))
    scene.paste(layer.convert("RGB").point(lambda value: value * brightness), mask=alpha)
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(1)), np.float32)
    speckle = np.random.default_rng(3).standard_normal((HEIGHT, WIDTH, 1), np.float32)
    return Image.fromarray((pixels + 3 * speckle).clip(0, 255).astype(np.uint8))


def encoded(
    image: Image.Image, form: str, quality: int, size: tuple[int, int] = (1000, 750), **options: Any
) -> bytes:
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(stream, form, quality=quality, **options)
    return stream.getvalue()


def photos() -> Iterator[tuple[str, bytes]]:
    """Draw the photos, one after the other: their file names and contents."""
    city = BICYCLE.format(tyre=0.04, bar=CITY_BAR, extras=DELIVERY_BOX)
    photo = photograph(wall(), city, (170, 28, 30), turn=0.1)
    courier = encoded(photo, "JPEG", 65)
    yield "bicycle-courier.jpg", courier
    yield "broken-half-sent.jpg", courier[: len(courier) // 2]
    yield "broken-text.jpg", b"Two scones, clotted cream, strawberry jam. No photo here.\n"

    racing = BICYCLE.format(tyre=0.026, bar=DROP_BAR, extras="")
    photo = photograph(street(), racing, (28, 60, 130))
    yield "bicycle-racing.webp", encoded(photo, "WEBP", 60)

    # 12 megapixels as a phone held upright stores them: on their side, with a note to turn them.
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise
    sturdy = BICYCLE.format(tyre=0.055, bar=CITY_BAR, extras="")
    photo = ImageOps.mirror(photograph(street(), sturdy, (196, 158, 20), turn=0.2))
    photo = photo.transpose(Image.Transpose.ROTATE_90)
    yield "bicycle-sideways-12mp.jpg", encoded(photo, "JPEG", 22, (3000, 4000), exif=exif)

    photo = photograph(street(), MOTORCYCLE, (20, 84, 62), turn=0.15)
    yield "motorcycle-roadster.jpg", encoded(photo, "JPEG", 65)

    photo = ImageOps.mirror(photograph(wall(), MOTORCYCLE, (190, 24, 28)))
    yield "motorcycle-by-a-wall.jpg", encoded(photo, "JPEG", 65)

    photo = photograph(street(night=True), MOTORCYCLE, (60, 80, 150), brightness=0.6)
    yield "motorcycle-at-night.heic", encoded(photo, "HEIF", 45)

    photo = photograph(street(night=True), MOTORCYCLE, (60, 80, 150), brightness=0.3)
    blurred = photo.filter(ImageFilter.GaussianBlur(25))  # a person has to look at it
    yield "motorcycle-out-of-focus.jpg", encoded(blurred, "JPEG", 40)

    photo = photograph(wall(), SCONE)
    yield "no-vehicle-scone.jpg", encoded(photo, "JPEG", 65)


register_heif_opener()

if __name__ == "__main__":
    for name, contents in photos():
        (Path(__file__).parent / "photos" / name).write_bytes(contents)
        print(f"{len(contents) / 1000:7.1f} kB  {name}", flush=True)
