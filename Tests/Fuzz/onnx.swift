import RecurrentNetwork

/// An ONNX file, with an empty file for whatever data it keeps outside.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzONNX(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let input = bytes(data, size)
    return checkModel { () throws(ModelFileError) in
        var external: [String: [UInt8]] = [:]
        for name in try ONNX.externalFiles(in: input) { external[name] = [] }
        return try ONNX.readModel(input, externalData: external)
    }
}
