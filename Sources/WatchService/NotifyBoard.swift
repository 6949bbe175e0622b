import Control
import Platform
import Tabular

/// What `rnn-notify` said about itself last, and what people ask of it: the daemon is the board between the two.
final class NotifyBoard: @unchecked Sendable {
    // Safety: locked.
    private let state = Locked<
        (report: JSONValue?, at: Int64, tests: [(number: Int64, sink: String)], next: Int64, results: [Int64: JSONValue])
    >(
        (nil, 0, [], 1, [:]))
    private static let testsMax = 16

    /// Takes a report: `status` (any object) and `tests` (array of `number`, `ok`, `answer`).
    func take(_ arguments: JSONValue) {
        state.withLock { state in
            if let status = arguments["status"] { (state.report, state.at) = (status, Clocks.wall()) }
            for result in arguments["tests"]?.items ?? [] {
                guard let number = result["number"]?.integerValue else { continue }
                state.tests.removeAll { $0.number == number }
                state.results[number] = result
                if state.results.count > NotifyBoard.testsMax, let oldest = state.results.keys.min() { state.results[oldest] = nil }
            }
        }
    }

    var status: (report: JSONValue, at: Int64)? { state.withLock { state in state.report.map { ($0, state.at) } } }

    /// Asks for a test message.
    func ask(test sink: String) throws(ControlError) -> Int64 {
        let number = state.withLock { state -> Int64? in
            guard state.tests.count < NotifyBoard.testsMax else { return nil }
            defer { state.next += 1 }
            state.tests.append((state.next, sink))
            return state.next
        }
        guard let number else { throw .failed("too many tests wait already; does rnn-notify run?") }
        return number
    }

    var tests: JSONValue {
        .array(state.withLock { $0.tests }.map { .object(["number": .integer($0.number), "sink": .string($0.sink)]) })
    }
    var hasTests: Bool { state.withLock { !$0.tests.isEmpty } }

    func result(_ number: Int64) -> JSONValue? { state.withLock { $0.results.removeValue(forKey: number) } }
    func forget(_ number: Int64) { state.withLock { $0.tests.removeAll { $0.number == number } } }
}
