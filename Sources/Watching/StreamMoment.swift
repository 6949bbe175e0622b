import Alerting
import Detection

/// Why a reading raised no alarm.
public enum Restraint: UInt8, Sendable {
    /// It raised one.
    case none
    /// The stream had not been seen long enough.
    case warmUp
    /// Readings had just come back after a gap.
    case gap
    /// The score was below the threshold.
    case below
    /// The score was over the threshold before what was told a short while ago was taken off.
    case habituation
    /// An alarm was raised a short while before.
    case hold
    /// The score was over the threshold before what usually follows a switch was taken off.
    case switching

    init(_ verdict: borrowing Verdict) {
        if verdict.isAlarm {
            self = .none
        } else if verdict.warmUpReason == .readings {
            self = .warmUp
        } else if verdict.warmUpReason == .gap {
            self = .gap
        } else if verdict.score < verdict.threshold {
            let before = verdict.score + verdict.habituation
            self =
                before >= verdict.threshold ? .habituation : before + verdict.switching >= verdict.threshold ? .switching : .below
        } else {
            self = .hold
        }
    }
}

/// What the detector said about the reading of a block of 25 that came nearest to an alarm: plain bytes, kept per stream.
struct StreamMoment: BitwiseCopyable {
    /// One piece of evidence: its points, and its rank among past blocks.
    struct Piece: BitwiseCopyable {
        var points: Float = 0
        var reaching: Float = 0
        var blocks: Float = 0
        var evidence: UInt8 = 0
        var reserved: (UInt8, UInt8, UInt8) = (0, 0, 0)
    }

    /// Nanoseconds since 1970; Int64.min: no reading yet.
    var time: Int64 = .min
    var observed: Double = 0
    var score: Float = 0
    var threshold: Float = 0
    /// Points taken off because of what was told before.
    var habituation: Float = 0
    var expected: Float = 0
    var bandLow: Float = 0
    var bandHigh: Float = 0
    var first = Piece()
    var second = Piece()
    var channel: UInt16 = 0
    var kind: UInt8 = 0
    var restraint: UInt8 = 0
    /// Points taken off because they are usual after a switch.
    var switching: Float = 0

    /// Readings of one block.
    static let readings: UInt64 = 25

    /// How near an alarm was: points over the threshold.
    var margin: Float { time == .min ? -.infinity : score - threshold }

    init() {}

    init(_ verdict: borrowing Verdict, time: Int64) {
        self.time = time
        (score, threshold) = (Float(verdict.score), Float(verdict.threshold))
        (habituation, switching) = (Float(verdict.habituation), Float(verdict.switching))
        kind = verdict.kind.rawValue
        restraint = Restraint(verdict).rawValue
        for piece in Evidence.allCases {
            let result = verdict[piece]
            guard result.contribution > 0 else { continue }
            let entry = Piece(
                points: Float(result.contribution), reaching: Float(result.blocksReaching), blocks: Float(result.blocks),
                evidence: piece.rawValue)
            if entry.points > first.points {
                (first, second) = (entry, first)
            } else if entry.points > second.points {
                second = entry
            }
        }
        var largest = -1.0
        for index in 0..<verdict.channelCount where verdict.channels[index].contribution > largest {
            let line = verdict.channels[index]
            largest = line.contribution
            channel = line.index
            (observed, expected, bandLow, bandHigh) = (
                line.value, Float(finite: line.expected), Float(finite: line.bandLow), Float(finite: line.bandHigh)
            )
        }
    }
}

extension Float {
    /// The nearest number that is finite; what is kept for people is never printed as infinite when it was not.
    init(finite value: Double) {
        let narrow = Float(value)
        self = narrow.isInfinite && value.isFinite ? (value < 0 ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude) : narrow
    }
}
