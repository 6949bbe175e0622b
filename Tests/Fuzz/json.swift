/// JSON only, with and without a default stream.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    withInput(data, size) { line in
        checkLine(line, .json)
        checkLine(line, .json, defaultStream: Array("stdin,source=json".utf8))
    }
}
