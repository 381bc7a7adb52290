"""What pyproject.toml cannot say: the recipes lie beside the package and go into it in a wheel."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRecipes(build_py):
    """Copies `recipes/` to `phonoloop/recipes/`; a checkout reads them where they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._recipes():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in self._recipes())]

    def _recipes(self) -> list[tuple[Path, Path]]:
        inside = Path(self.build_lib) / "phonoloop"
        return [(path, inside / path) for path in sorted(Path("recipes").rglob("*.yaml"))]


setup(cmdclass={"build_py": BuildWithRecipes})
