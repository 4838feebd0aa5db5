"""A workflow as the text of a file."""

import json


def written(workflow: dict) -> str:
    """As JSON with a line a node and a line a link, so that a difference can be read."""
    lists = {"nodes", "links", "groups", "inputs", "outputs"}

    def lines(values: dict, indent: str) -> str:
        parts = []
        for key, value in values.items():
            if key == "definitions":
                inner = ",\n".join(lines(each, indent + "  ") for each in value["subgraphs"])
                parts.append(f'{indent}  "definitions": {{"subgraphs": [\n{inner}\n{indent}  ]}}')
            elif key in lists and value:
                items = ",\n".join(f"{indent}    {json.dumps(item, ensure_ascii=False)}" for item in value)
                parts.append(f'{indent}  "{key}": [\n{items}\n{indent}  ]')
            else:
                parts.append(f'{indent}  "{key}": {json.dumps(value, ensure_ascii=False)}')
        return f"{indent}{{\n" + ",\n".join(parts) + f"\n{indent}}}"

    return lines(workflow, "") + "\n"
