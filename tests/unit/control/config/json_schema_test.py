# SPDX-License-Identifier: BSD-3-Clause
"""The JSON Schema for editors: is one (draft 2020-12), takes what the loader takes, and refuses
what a single option's row refuses. usage: json_schema_test.py PRINTER SOURCE_ROOT"""
import json
import pathlib
import subprocess
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing} (python3-jsonschema, python3-yaml)")
    sys.exit(77)


class Core12Loader(yaml.SafeLoader):
    """Editors' YAML servers read YAML 1.2: no sexagesimal numbers, no yes/no booleans."""


Core12Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers
            if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Core12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", __import__("re").compile("^(?:true|false)$"), list("tf"))
Core12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", __import__("re").compile("^[-+]?[0-9]+$"), list("-+0123456789"))
Core12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", __import__("re").compile(r"^[-+]?[0-9]+\.[0-9]+$"),
    list("-+0123456789"))

# Wrong only in how options stand to each other, or below what a schema can tell: not for an editor.
BEYOND_SCHEMA = {
    "access_port_with_tagged_vlans", "access_port_without_vlan", "vlan_in_two_trunks",
    "physical_without_adapter", "physical_of_kind_xcf", "device_twice", "trunk_port_without_vlans",
    "mac_twice_in_vlan", "adapter_named_host", "engines_none_beside_builtin",
    "cores_wrong", "stream_depth_above_memory", "duration_out_of_range", "endpoint_port_wrong",
    "duplicate_key", "duplicate_section", "engines_wrong", "warnings_only",
    "metrics_not_on_loopback", "appliance_missing", "distributor_right", "target_right",
    "anchor_and_alias", "tag", "channels_peer_unreachable", "channels_peers_without_link", "socket_twice",
}


def stringify_keys(value):
    """JSON's names are strings; YAML's VLAN ids are integers."""
    if isinstance(value, dict):
        return {str(key): stringify_keys(child) for key, child in value.items()}
    if isinstance(value, list):
        return [stringify_keys(child) for child in value]
    return value


def main():
    schema = json.loads(subprocess.run([sys.argv[1]], capture_output=True, check=True).stdout)
    root = pathlib.Path(sys.argv[2])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = []

    def is_valid(path):
        value = stringify_keys(yaml.load(path.read_bytes(), Core12Loader))
        return validator.is_valid({} if value is None else value)

    corpus = root / "tests/fuzz/corpus/config"
    for path in (root / "packaging/bulkhead.yaml", corpus / "example", corpus / "full"):
        if not is_valid(path):
            value = stringify_keys(yaml.load(path.read_bytes(), Core12Loader))
            failures.append(f"{path} is refused: {next(validator.iter_errors(value)).message}")
    refused = 0
    for path in sorted((root / "tests/unit/control/config/golden").glob("*.yaml")):
        try:
            valid = is_valid(path)
        except yaml.YAMLError:
            continue
        if valid and path.stem not in BEYOND_SCHEMA:
            failures.append(f"{path.name} is taken")
        refused += not valid
    if refused < 30:
        failures.append(f"only {refused} golden files are refused")
    print("\n".join(failures) or f"good files taken, {refused} bad ones refused")
    sys.exit(bool(failures))


main()
