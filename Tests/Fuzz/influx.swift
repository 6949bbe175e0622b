/// Line protocol only.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzInflux(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    withInput(data, size) { checkLine($0, .influx) }
}
