#!/bin/sh
# Runs every libFuzzer target of the parsers and of the model files, one after the other.
#
#   Tests/Fuzz/run.sh [seconds] [target...]        default: 60 seconds each, all targets
#   MERGE=1 Tests/Fuzz/run.sh ...                  afterwards write a minimised corpus to .build-fuzz/merged, to pick fixtures from
#
# Builds in .build-fuzz. Ends with 1 when a target found something; the input lies in .build-fuzz/findings.
set -eu
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
[ $# -gt 0 ] && shift
targets="${*:-influx json text csv numbers safetensors onnx keras}"
out=.build-fuzz
mkdir -p "$out/findings"

clang -O1 -g -fsanitize=address -c Sources/CNumberText/number_text.c -ISources/CNumberText/include -o "$out/number_text.o"
swiftc -O -g -sanitize=address -parse-as-library -swift-version 6 -module-name TimeSeries -emit-module -emit-module-path "$out/TimeSeries.swiftmodule" \
    -wmo -c Sources/TimeSeries/*.swift -o "$out/TimeSeries.o"
# The model files need the network and its kernels; SwiftPM would make the module map.
prepare_models() {
    [ -e "$out/RecurrentNetwork.o" ] && [ "$out/RecurrentNetwork.o" -nt Sources/RecurrentNetwork/RecurrentModel.swift ] && return
    mkdir -p "$out/modules"
    printf 'module CRecurrentKernels { header "%s/Sources/CRecurrentKernels/include/recurrent_kernels.h" export * }\n' "$PWD" > "$out/modules/module.modulemap"
    for file in kernels network; do
        clang -O1 -g -ffp-contract=off -fsanitize=address -c "Sources/CRecurrentKernels/$file.c" -ISources/CRecurrentKernels/include -o "$out/$file.o"
    done
    swiftc -O -g -sanitize=address -parse-as-library -swift-version 6 -module-name RecurrentNetwork -I"$out/modules" -emit-module \
        -emit-module-path "$out/RecurrentNetwork.swiftmodule" -wmo -c Sources/RecurrentNetwork/*.swift -o "$out/RecurrentNetwork.o"
}
status=0
for target in $targets; do
    case $target in
    safetensors | onnx | keras)
        prepare_models
        swiftc -O -g -sanitize=fuzzer,address -parse-as-library -swift-version 6 -module-name Fuzz -I"$out/modules" -I"$out" \
            Sources/ModelFiles/*.swift Tests/Fuzz/ModelLaws.swift "Tests/Fuzz/$target.swift" "$out/RecurrentNetwork.o" "$out/kernels.o" \
            "$out/network.o" -o "$out/$target"
        corpora=Tests/Fixtures/modelfuzz
        length=65536
        ;;
    *)
        swiftc -O -g -sanitize=fuzzer,address -parse-as-library -swift-version 6 -module-name Fuzz -ISources/CNumberText/include -I"$out" \
            Sources/LineFormats/*.swift Tests/Fuzz/Laws.swift "Tests/Fuzz/$target.swift" "$out/number_text.o" "$out/TimeSeries.o" -o "$out/$target"
        corpora=Tests/Fixtures/lines/fuzz
        length=4096
        ;;
    esac
    dict="Tests/Fuzz/$target.dict"
    [ -e "$dict" ] || dict=/dev/null
    mkdir -p "$out/corpus/$target" "$corpora/$target"
    echo "== $target: $seconds s"
    nice -n 19 "$out/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len="$length" -print_final_stats=1 -verbosity=0 \
        -dict="$dict" -artifact_prefix="$out/findings/$target-" "$out/corpus/$target" "$corpora/$target" || status=1
    if [ "${MERGE:-0}" = 1 ]; then
        rm -rf "$out/merged/$target"
        mkdir -p "$out/merged/$target"
        "$out/$target" -set_cover_merge=1 -max_len=512 -verbosity=0 "$out/merged/$target" "$corpora/$target" "$out/corpus/$target"
    fi
done
exit $status
