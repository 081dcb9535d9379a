#!/bin/bash
# test_net.sh - kiln net: what it prints, on which stream, and how it fails.
set -u
kiln=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

expect() { # what is looked for, in the file
    grep -qF -- "$1" "$2" || fail "no '$1' in: $(cat "$2")"
}

"$kiln" net list >"$folder/out" 2>"$folder/err" || fail "net list"
for net in dawn resnet9 airbench94 airbench95 airbench96 resnet20 resnet18 unbranched \
    unbranched-bare; do
    expect "$net " "$folder/out"
done
[ ! -s "$folder/err" ] || fail "net list talks: $(cat "$folder/err")"

"$kiln" net show resnet9 >"$folder/out" || fail "net show"
expect "6573120" "$folder/out"
expect "379.2" "$folder/out"
expect "layer1.res1.conv" "$folder/out"

"$kiln" net show resnet9 --json >"$folder/out" || fail "net show --json"
python3 - "$folder/out" <<'PYTHON' || fail "the JSON of net show"
import json, sys
net = json.load(open(sys.argv[1]))
assert net["parameters"] == 6573120, net["parameters"]
assert round(net["macs"] / 1e5) == 3793, net["macs"]
assert sum(layer["parameters"] for layer in net["layers"]) == net["parameters"]
assert sum(layer["macs"] for layer in net["layers"]) == net["macs"]
assert net["layers"][0]["name"] == "prep.conv" and net["layers"][0]["shape"] == [64, 32, 32]
PYTHON

"$kiln" net show resnet9 --width 0.5 --json >"$folder/narrow" || fail "net show --width"
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["parameters"] < 1.7e6' \
    "$folder/narrow" || fail "half the width has a quarter of the parameters"

printf 'a conv 3x3 8\nb relo\n' >"$folder/bad.net"
"$kiln" net show "$folder/bad.net" >"$folder/out" 2>"$folder/err"
[ $? -eq 2 ] || fail "a bad file must exit with 2"
expect "bad.net:2:3: unknown layer type 'relo'; did you mean 'relu'?" "$folder/err"
[ ! -s "$folder/out" ] || fail "a bad file must print nothing on stdout"

for arguments in "show" "show nosuch" "show /nowhere/a.net" "shew" "list --width 0"; do
    # shellcheck disable=SC2086
    "$kiln" net $arguments >"$folder/out" 2>"$folder/err"
    [ $? -eq 2 ] || fail "'net $arguments' must exit with 2"
    [ -s "$folder/err" ] || fail "'net $arguments' says nothing"
done

[ "$failures" -eq 0 ] || exit 1
