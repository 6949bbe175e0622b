/// Going back to an earlier state of a buffer, for elements that are refused while others stand.
extension ReadingBuffer {
    /// How full the buffer was.
    struct Mark {
        let fields: Int
        let records: Int
        let ignoredNonNumeric: Int
        let nonFinite: Int
        let unknownValues: Int
        let oddNumbers: Int
        let units: Int
    }

    func mark() -> Mark {
        Mark(
            fields: fields.count, records: records.count, ignoredNonNumeric: ignoredNonNumeric, nonFinite: nonFinite,
            unknownValues: unknownValues, oddNumbers: oddNumbers, units: units.count)
    }

    /// Forgets fields, readings and counts since `mark`; text stays, it may still be referred to.
    mutating func restore(_ mark: Mark) {
        fields.truncate(mark.fields)
        records.truncate(mark.records)
        ignoredNonNumeric = mark.ignoredNonNumeric
        nonFinite = mark.nonFinite
        unknownValues = mark.unknownValues
        oddNumbers = mark.oddNumbers
        units.truncate(mark.units)
        isTimeLocal = false
    }
}
