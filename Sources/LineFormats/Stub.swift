extension LineParser {
    mutating func parseJSON(_ b: Bytes, _ start: Int) throws(LineError) {}
    mutating func parseCollectd(_ b: Bytes, _ start: Int) throws(LineError) {}
}
