"""test_colours.py - the page's palettes: read by everybody, told apart also by who is colour-blind.

Contrast is WCAG 2.1's; colour blindness is simulated in linear RGB by the matrices of Machado,
Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency"
(2009), at full severity; differences are CIE 1976 (L*, a*, b*), of which 2.3 are just seen.
"""
import itertools
import pathlib
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CSS = (HERE.parent.parent / "web/page.css").read_text()

BLIND = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                   (0.004733, 0.691367, 0.303900)),
}


def palettes():
    """The custom properties of both themes: {"light": {"ink": (r, g, b) ...}, "dark": ...}; dark
    sets all that differ from light."""
    found = {}
    for name, selector in (("light", r":root \{"), ("dark", r':root\[data-theme="dark"\] \{')):
        block = re.search(selector + r"(.*?)\}", CSS, re.S)[1]
        found[name] = {key: tuple(int(value[i:i + 2], 16) / 255 for i in (0, 2, 4))
                       for key, value in re.findall(r"--([\w-]+): #([0-9a-f]{6})", block)}
    return found


def linear(colour):
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]


def contrast(a, b):
    light, dark = sorted((sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x)))
                          for x in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    """CIE L*a*b* of linear sRGB, white D65."""
    xyz = [sum(m * c for m, c in zip(row, rgb)) / white for row, white in (
        ((0.4124564, 0.3575761, 0.1804375), 0.95047), ((0.2126729, 0.7151522, 0.0721750), 1.0),
        ((0.0193339, 0.1191920, 0.9503041), 1.08883))]
    x, y, z = (c ** (1 / 3) if c > 216 / 24389 else (24389 / 27 * c + 16) / 116 for c in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour, matrix):
    rgb = linear(colour)
    return lab([min(max(sum(m * c for m, c in zip(row, rgb)), 0), 1) for row in matrix])


def oklab_mix(high, low, share):
    """color-mix(in oklab, high share, low), as sRGB."""
    def to(colour):
        r, g, b = linear(colour)
        lms = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
               0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
               0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
        return [c ** (1 / 3) for c in lms]
    m = [share * a + (1 - share) * b for a, b in zip(to(high), to(low))]  # linear in both
    x, y, z = (c ** 3 for c in m)
    rgb = (4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z,
           -1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z,
           -0.0041960863 * x - 0.7034186147 * y + 1.7076147010 * z)
    return tuple(12.92 * c if c <= 0.0031308 else 1.055 * max(c, 0) ** (1 / 2.4) - 0.055
                 for c in rgb)


class Colours(unittest.TestCase):
    def test_texts__stand_out_from_what_is_behind_them(self):
        for theme, p in palettes().items():
            for ink, paper in (("ink", "paper"), ("ink", "card"), ("muted", "paper"),
                               ("muted", "card"), ("accent", "paper"), ("accent", "card"),
                               ("caution", "caution-paper"), ("bad", "bad-paper"), ("bad", "card"),
                               ("good", "good-paper"), ("ink", "caution-paper"),
                               ("ink", "good-paper")):
                self.assertGreaterEqual(contrast(p[ink], p[paper]), 4.5, (theme, ink, paper))

    def test_cells_of_heat_maps__are_read_at_every_level(self):
        for theme, p in palettes().items():
            rules = dict(re.findall(r"\n\.(h\d+) \{ .*?; color: var\(--([\w-]+)\)", CSS))
            if theme == "dark":
                rules.update(re.findall(r'data-theme="dark"\] \.(h\d+) \{ color: var\(--([\w-]+)\)',
                                        CSS))
            self.assertEqual(len(rules), 11)
            for level in range(11):
                cell = oklab_mix(p["heat-high"], p["heat-low"], level / 10)
                self.assertGreaterEqual(contrast(p[rules[f"h{level}"]], cell), 4.5, (theme, level))

    def test_curves__are_seen_on_the_card(self):
        for theme, p in palettes().items():
            for i in range(1, 9):
                self.assertGreaterEqual(contrast(p[f"s{i}"], p["card"]), 3, (theme, i))

    def test_curves__are_told_apart_by_everybody(self):
        for theme, p in palettes().items():
            for kind, matrix in BLIND.items():
                curves = [seen(p[f"s{i}"], matrix) for i in range(1, 9)]
                for (i, a), (k, b) in itertools.combinations(enumerate(curves, 1), 2):
                    away = sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5
                    # Seldom are there more than six; those have other markers, too.
                    self.assertGreater(away, 14 if k <= 6 else 9, (theme, kind, f"s{i}", f"s{k}"))

    def test_the_heat_scale__goes_from_dark_to_light_for_everybody(self):
        for theme, p in palettes().items():
            for kind, matrix in BLIND.items():
                scale = [seen(oklab_mix(p["heat-high"], p["heat-low"], t / 10), matrix)[0]
                         for t in range(11)]
                steps = [b - a for a, b in zip(scale, scale[1:])]
                self.assertTrue(all(s < -2 for s in steps) or all(s > 2 for s in steps),
                                (theme, kind, scale))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
