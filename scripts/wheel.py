"""What a wheel has besides the package: the demo model's weights, so that `imagic edit --model demo` needs no download.

They stay in demo/model, where the nodes and their training have them. An editable install reads them there.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DemoModel(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # In an editable install a folder named imagic would hide the package.
        if version == "standard":
            build_data["force_include"]["demo/model"] = "imagic/diffusers/demo_model"
