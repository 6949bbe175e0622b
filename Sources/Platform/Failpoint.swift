import Glibc

/// Named places at which a test may kill the process or make a step fail.
///
/// Armed only by the environment variable `RNN_WATCHD_FAILPOINTS`, a comma-separated list of `NAME=ACTION@HIT` with `kill` (SIGKILL
/// to ourselves) or `error` as action, `HIT` the number of the visit from 1, and `HIT+COUNT` for several visits in a row:
/// `commit.journal=kill@3,sync.begin=error@1+10`. Without the variable a visit costs one load and one branch.
public enum Failpoint {
    private struct Order: Sendable {
        var kills: Bool
        var first: Int
        var count: Int
    }

    /// The variable's name.
    public static let variable = "RNN_WATCHD_FAILPOINTS"

    private static let orders: [String: Order]? = getenv(variable).map { parse(String(cString: $0)) }
    private static let visits = Locked<[String: Int]>([:])

    /// A visit of the place `name`. true: the caller must act as if the step had failed.
    @inline(__always)
    public static func fails(_ name: StaticString) -> Bool {
        guard let orders else { return false }
        return visit("\(name)", orders)
    }

    /// A visit of a place where nothing can fail: only killing happens here.
    @inline(__always)
    public static func pass(_ name: StaticString) { if orders != nil { _ = fails(name) } }

    private static func visit(_ name: String, _ orders: [String: Order]) -> Bool {
        guard let order = orders[name] else { return false }
        let visit = visits.withLock { visits in
            visits[name, default: 0] += 1
            return visits[name] ?? 0
        }
        guard visit >= order.first, visit < order.first + order.count else { return false }
        if order.kills { kill(getpid(), SIGKILL) }
        return true
    }

    private static func parse(_ text: String) -> [String: Order] {
        var orders: [String: Order] = [:]
        for item in text.split(separator: ",") {
            let sides = item.split(separator: "=", maxSplits: 1)
            guard sides.count == 2 else { continue }
            let action = sides[1].split(separator: "@", maxSplits: 1)
            let hits = action.count == 2 ? action[1].split(separator: "+", maxSplits: 1) : []
            orders[String(sides[0])] = Order(
                kills: action.first == "kill", first: hits.first.flatMap { Int($0) } ?? 1, count: hits.count == 2 ? Int(hits[1]) ?? 1 : 1)
        }
        return orders
    }
}
