/// The named pieces of evidence a score is made of.
public enum Evidence: UInt8, CaseIterable, Sendable {
    /// The value lies outside everything seen so far.
    case valueRecord
    /// The value is rarely this far from the long running mean (rank).
    case valueRank
    /// The value is far from the mean of the last thousand readings.
    case localDeviation
    /// The value changed more from one reading to the next than it usually does.
    case jump
    /// The prediction has been wrong in one direction for about a hundred readings.
    case residualDrift
    /// This one prediction is wrong.
    case pointResidual
    /// The last few predictions are wrong.
    case fastResidual
    /// The recurrent state is unlike any it has been in.
    case stateNovelty
    /// One value is repeated for much longer than ever.
    case stuck

    /// Number of pieces.
    public static let count = 9

    /// Piece `index` of all of them, without making a list.
    @inline(__always)
    init(index: Int) { self = Evidence(rawValue: UInt8(truncatingIfNeeded: index)) ?? .stuck }

    /// Stable lower-case name for output, e.g. `value_record`.
    public var name: String {
        switch self {
        case .valueRecord: "value_record"
        case .valueRank: "value_rank"
        case .localDeviation: "local_deviation"
        case .jump: "jump"
        case .residualDrift: "residual_drift"
        case .pointResidual: "point_residual"
        case .fastResidual: "fast_residual"
        case .stateNovelty: "state_novelty"
        case .stuck: "stuck"
        }
    }
}

/// What one piece of evidence said about one reading.
public struct EvidenceResult: BitwiseCopyable, Sendable {
    /// The statistic after combining channels, in the piece's own unit.
    public var statistic: Double = 0
    /// The calibrated value (decades of rarity), or the statistic itself for uncalibrated pieces.
    public var calibrated: Double = 0
    /// Score points this piece added in the branch that made the score.
    public var contribution: Double = 0
    /// Past blocks of 25 readings that reached this value: 0 = the highest of `blocks`.
    public var blocksReaching: Double = 0
    /// Past blocks compared with; 0 if the piece is not ranked.
    public var blocks: Double = 0
}

/// What the alarm looks like, from the piece that contributed most.
public enum AnomalyKind: UInt8, Sendable {
    /// No evidence.
    case none
    /// A sudden change from one reading to the next.
    case jump
    /// A value never seen before.
    case extreme
    /// A level unlike the last hours, without a sudden change.
    case level
    /// A slow departure from the prediction.
    case drift
    /// Readings became unpredictable.
    case unpredictable
    /// A sequence of values never seen before.
    case pattern
    /// A value that no longer changes.
    case stuck

    /// Stable lower-case name for output.
    public var name: String {
        switch self {
        case .none: "none"
        case .jump: "jump"
        case .extreme: "extreme"
        case .level: "level"
        case .drift: "drift"
        case .unpredictable: "unpredictable"
        case .pattern: "pattern"
        case .stuck: "stuck"
        }
    }

    /// The kind a piece of evidence points to.
    init(_ evidence: Evidence) {
        switch evidence {
        case .valueRecord: self = .extreme
        case .valueRank, .localDeviation: self = .level
        case .jump: self = .jump
        case .residualDrift: self = .drift
        case .pointResidual, .fastResidual: self = .unpredictable
        case .stateNovelty: self = .pattern
        case .stuck: self = .stuck
        }
    }
}
