"""Functions that return a :class:`~pixelwise.training.recipe.Recipe`, one file a family.

Each paper's own recipe says what it takes from the paper and, under *Deviations*, what it does not.
"""

from pixelwise.training.recipes.table import RECIPES, make_recipe

__all__ = ["RECIPES", "make_recipe"]
