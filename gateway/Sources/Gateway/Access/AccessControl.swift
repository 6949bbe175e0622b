import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import WireFormats

/// Who sent a request.
public struct Identity: Sendable {
    /// nil: a program of this machine without a token.
    public let token: Token?
    public var name: String { token?.name ?? "local" }
    public var decoration: Decoration { token?.decoration ?? .none }
    func has(_ right: Right) -> Bool { token.map { $0.rights.contains(right) } ?? true }
}

/// Which requests may be served.
public struct AccessControl: Sendable {
    private let tokens: [Token]
    private let trustLocal: Bool
    private let hosts: Set<String>

    public init(_ settings: Settings) {
        tokens = settings.tokens
        trustLocal = settings.trustLocal
        hosts = Set(["localhost", "127.0.0.1", "[::1]", "::1"] + settings.hosts)
    }

    /// Why a request is not served: answer and reason.
    struct Denial: Error {
        let status: HTTPResponse.Status
        let reason: String
    }

    /// Finds out who sent `request`. A browser that another site drives is stopped here: by its `Origin`, and by a `Host` that is not
    /// this machine's where no token proves who asks.
    func identify(_ request: Request, _ peer: Peer, needs right: Right) throws(Denial) -> Identity {
        if request.method != .get, request.method != .head { try checkOrigin(request) }
        // Where no token is set up nobody's can be wrong: many senders always send one.
        if !tokens.isEmpty, let secret = AccessControl.secret(request) {
            guard let token = tokens.first(where: { AccessControl.isEqual($0.secret, secret) }) else {
                throw Denial(status: .unauthorized, reason: "unknown token")
            }
            guard token.rights.contains(right) else {
                throw Denial(status: .forbidden, reason: "the token \(token.name) has no right to \(right.rawValue)")
            }
            return Identity(token: token)
        }
        guard peer.isLocal, trustLocal else { throw Denial(status: .unauthorized, reason: "a token is needed") }
        if !peer.isUnix {
            let host = AccessControl.hostName(request.head.authority ?? "")
            guard hosts.contains(host) else {
                throw Denial(
                    status: HTTPResponse.Status(code: 421), reason: "the host \(host.prefix(100)) is not served here without a token")
            }
        }
        return Identity(token: nil)
    }

    private func checkOrigin(_ request: Request) throws(Denial) {
        if let site = request.headers[.fetchSite], site != "same-origin", site != "none" {
            throw Denial(status: .forbidden, reason: "the request comes from another site")
        }
        guard let origin = request.headers[.origin] else { return }
        let own = request.head.authority ?? ""
        guard !own.isEmpty, origin == "http://\(own)" || origin == "https://\(own)" else {
            throw Denial(status: .forbidden, reason: "the request comes from another origin")
        }
    }

    /// `Bearer`, `Token`, the password of `Basic`, or `p` of InfluxDB 1.
    private static func secret(_ request: Request) -> String? {
        if let header = request.headers[.authorization], let blank = header.firstIndex(of: " ") {
            let rest = String(header[header.index(after: blank)...]).trimmed
            switch header[..<blank].lowercased() {
            case "bearer", "token": return rest.isEmpty ? nil : rest
            case "basic":
                let text = Base64.decode(rest).map { String(decoding: $0, as: UTF8.self) } ?? ""
                // Senders that know only a name and a password may leave the name empty.
                let password = text.firstIndex(of: ":").map { String(text[text.index(after: $0)...]) } ?? text
                return password
            default: return ""
            }
        }
        return request.uri.queryParameters["p"].map(String.init).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Compares in a time that tells only the length.
    private static func isEqual(_ one: String, _ other: String) -> Bool {
        let (a, b) = (Array(one.utf8), Array(other.utf8))
        guard a.count == b.count else { return false }
        return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func hostName(_ authority: String) -> String {
        let lower = authority.lowercased()
        if lower.hasPrefix("["), let end = lower.firstIndex(of: "]") { return String(lower[...end]) }
        return lower.firstIndex(of: ":").map { String(lower[..<$0]) } ?? lower
    }
}

extension HTTPField.Name {
    static let fetchSite = HTTPField.Name("Sec-Fetch-Site")!
    static let retryAfter = HTTPField.Name("Retry-After")!
    static let contentEncoding = HTTPField.Name("Content-Encoding")!
}

/// Base64 as in `Authorization: Basic`.
enum Base64 {
    static func decode(_ text: String) -> [UInt8]? {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text.utf8 where byte != 61 {
            let value: UInt32
            switch byte {
            case 65...90: value = UInt32(byte) - 65
            case 97...122: value = UInt32(byte) - 71
            case 48...57: value = UInt32(byte) + 4
            case 43, 45: value = 62
            case 47, 95: value = 63
            default: return nil
            }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return out
    }
}

/// What tokens have used of their limits.
public final class TokenLimits: Sendable {
    private struct Use {
        var allowance: Double
        var at: Int64
        var streams: Set<Int> = []
    }
    private let uses = Mutex<[String: Use]>([:])
    /// An idle token may send so many seconds' worth at once.
    private static let burstSeconds = 10.0

    public init() {}

    /// Takes `readings` from the allowance of `token`. nil: they may pass; else seconds to wait.
    func take(_ readings: Int, _ token: Token?, now: Int64) -> Int? {
        guard let token, token.readingsPerSecondMax > 0 else { return nil }
        return uses.withLock { uses in
            let room = token.readingsPerSecondMax * TokenLimits.burstSeconds
            var use = uses[token.name] ?? Use(allowance: room, at: now)
            use.allowance = min(room, use.allowance + Double(now - use.at) * 1e-9 * token.readingsPerSecondMax)
            use.at = now
            defer { uses[token.name] = use }
            // A request larger than any allowance passes when the allowance is full: it could never pass otherwise.
            guard Double(readings) <= use.allowance || use.allowance >= room else {
                return max(1, Int(((Double(readings) - use.allowance) / token.readingsPerSecondMax).rounded(.up)))
            }
            use.allowance -= Double(readings)
            return nil
        }
    }

    /// Takes out the lines of streams beyond the limit of `token`. Streams count since the start of the gateway.
    func limitStreams(_ batch: inout LineBatch, _ token: Token?) {
        guard let token, token.streamsMax > 0 else { return }
        uses.withLock { uses in
            var use = uses[token.name] ?? Use(allowance: token.readingsPerSecondMax * TokenLimits.burstSeconds, at: 0)
            batch.keepLines { head in
                if use.streams.contains(head) { return nil }
                guard use.streams.count < token.streamsMax else {
                    return "the token \(token.name) may have \(token.streamsMax) streams, and this would be another"
                }
                use.streams.insert(head)
                return nil
            }
            uses[token.name] = use
        }
    }
}
