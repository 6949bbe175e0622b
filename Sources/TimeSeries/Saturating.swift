/// Arithmetic on moments (nanoseconds since 1970) and spans that came from outside: readings, questions, clocks, files.
///
/// Any two of them may lie more than 292 years apart, which is more than an `Int64` of nanoseconds holds; plain `-` and `+` would end the
/// program there. These stop at the ends of the range instead, which is far enough for every question that is asked of them.
extension Int64 {
    /// The nanoseconds from an earlier moment to this one; negative when it was later. At most 292 years either way.
    @inlinable
    public func since(_ earlier: Int64) -> Int64 {
        let (difference, isTooFar) = subtractingReportingOverflow(earlier)
        return isTooFar ? (self < earlier ? .min : .max) : difference
    }

    /// The moment `span` after this one, or the last (first) one that there is.
    @inlinable
    public func later(by span: Int64) -> Int64 {
        let (sum, isTooFar) = addingReportingOverflow(span)
        return isTooFar ? (span < 0 ? .min : .max) : sum
    }

    /// The moment `span` before this one, or the first (last) one that there is.
    @inlinable
    public func earlier(by span: Int64) -> Int64 {
        let (difference, isTooFar) = subtractingReportingOverflow(span)
        return isTooFar ? (span < 0 ? .max : .min) : difference
    }

    /// How far two moments are apart; never negative, at most 292 years.
    @inlinable
    public func apart(from other: Int64) -> Int64 {
        let difference = since(other)
        return difference == .min ? .max : Swift.abs(difference)
    }

    /// `span` times `factor`, at most 292 years.
    @inlinable
    public func times(_ factor: Int64) -> Int64 {
        let (product, isTooFar) = multipliedReportingOverflow(by: factor)
        return isTooFar ? ((self < 0) == (factor < 0) ? .max : .min) : product
    }

    /// The whole number nearest to `value`, or the last one that there is; 0 for NaN.
    @inlinable
    public init(saturating value: Double) {
        if value.isNaN {
            self = 0
        } else if value >= 0x1p63 {
            self = .max
        } else if value < -0x1p63 {
            self = .min
        } else {
            self = Int64(value)
        }
    }
}
