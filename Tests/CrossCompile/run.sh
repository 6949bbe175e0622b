#!/bin/sh
# The network kernels on other processors than this one:
#   - here: every instruction set that this machine has
#   - arm64 (NEON): compiled with clang, run under qemu (apt: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
#   - AVX-512: compiled, and its instructions counted in the functions of its table and in no other; no emulator in Debian 12 runs it
#   - qemu's Nehalem, which has neither AVX2 nor AVX-512: only sse2 may be chosen
set -eu
cd "$(dirname "$0")/../.."
out=.build-cross
mkdir -p "$out"
sources="Sources/CRecurrentKernels/kernels.c Sources/CRecurrentKernels/network.c Tests/CrossCompile/check.c"
flags="-O2 -ffp-contract=off -ISources/CRecurrentKernels/include"
status=0

clang $flags -static $sources -lm -o "$out/here"
echo "== this machine"
"$out/here" || status=1

echo "== AVX-512 by disassembly"
objdump -d --no-show-raw-insn "$out/here" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2 }
    /%zmm/ { if (name ~ /avx512/) inside++; else if (name ~ /_(sse2|avx2|avx2x2)>/ || name ~ /<rk_/) { outside++; print "zmm in " name } }
    END { print inside + 0, "instructions on zmm registers in the AVX-512 table,", outside + 0, "in the other kernels"; exit !(inside > 100 && outside == 0) }
' || status=1

if command -v qemu-x86_64 >/dev/null; then
    echo "== a processor without AVX2 (qemu Nehalem)"
    qemu-x86_64 -cpu Nehalem "$out/here" | tee "$out/nehalem.txt" || status=1
    grep -q '^best: sse2$' "$out/nehalem.txt" || status=1
fi
if command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null; then
    echo "== arm64 (qemu)"
    objects=""
    for source in $sources; do
        object="$out/arm64-$(basename "$source" .c).o"
        clang --target=aarch64-linux-gnu --sysroot=/usr/aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include $flags -c "$source" -o "$object"
        objects="$objects $object"
    done
    aarch64-linux-gnu-gcc -static $objects -lm -o "$out/arm64"
    qemu-aarch64 "$out/arm64" | tee "$out/arm64.txt" || status=1
    grep -q '^best: neon$' "$out/arm64.txt" || status=1
fi
exit $status
