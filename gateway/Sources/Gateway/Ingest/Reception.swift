import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import WireFormats

/// Why a request got no ordinary answer.
struct Rejection: Error {
    let status: HTTPResponse.Status
    let reason: String
    var retryAfterSeconds: Int?

    static func busy(_ reason: String, seconds: Int = 1) -> Rejection {
        Rejection(status: .serviceUnavailable, reason: reason, retryAfterSeconds: seconds)
    }
    static func bad(_ reason: String) -> Rejection { Rejection(status: .badRequest, reason: reason) }

    init(status: HTTPResponse.Status, reason: String, retryAfterSeconds: Int? = nil) {
        (self.status, self.reason, self.retryAfterSeconds) = (status, reason, retryAfterSeconds)
    }

    init(_ error: WireError) {
        switch error {
        case .malformed: self.init(status: .badRequest, reason: "\(error)")
        case .tooLarge: self.init(status: .contentTooLarge, reason: "\(error)")
        }
    }
}

/// What became of the lines of a request.
struct Receipt: Sendable {
    /// Readings that are stored (or received).
    var lines: Int
    /// Parts that are not, in order of their places; at most some hundred are listed.
    var refusals: [Refusal]
    var refusedCount: Int
    var skippedCount: Int
}

/// What all doors for readings share: who may send, how much, and the way to the daemon.
public struct Reception: Sendable {
    let access: AccessControl
    let limits: TokenLimits
    let settings: Settings
    let budget: ByteBudget
    let store: any LineStore
    let tally: Tally

    public init(settings: Settings, store: any LineStore, tally: Tally, limits: TokenLimits = TokenLimits()) {
        (self.settings, self.store, self.tally, self.limits) = (settings, store, tally, limits)
        access = AccessControl(settings)
        budget = ByteBudget(max: settings.memoryBytesMax / 2)
    }

    /// Serves one request of readings: identity, body, `decode`, storing, answer.
    /// - decode: fills the batch from the body, or throws what is wrong with all of it.
    /// - accepted: the answer of the protocol.
    /// - rejected: the protocol's form of an error.
    func receive(
        _ door: String, _ request: Request, _ context: GatewayContext,
        decode: (UnsafeRawBufferPointer, inout LineBatch) throws -> Void,
        accepted: (Receipt) -> Response,
        rejected: (Rejection) -> Response
    ) async -> Response {
        var identity = "?"
        var bodyBytes = 0
        var receipt = Receipt(lines: 0, refusals: [], refusedCount: 0, skippedCount: 0)
        var reasons: [String] = []
        var response: Response
        do {
            let who: Identity
            do { who = try access.identify(request, context.peer, needs: .write) } catch {
                throw Rejection(status: error.status, reason: error.reason)
            }
            identity = who.name
            let reservation = Reservation(budget)
            let body = try await body(request, reservation)
            bodyBytes = body.count
            receipt = try await take(body, who, reservation, decode)
            reasons = receipt.refusals.map { "\($0.place): \($0.reason)" }
            response = accepted(receipt)
        } catch let rejection as Rejection {
            reasons = [rejection.reason]
            response = rejected(rejection)
            if let seconds = rejection.retryAfterSeconds { response.headers[.retryAfter] = "\(seconds)" }
            if rejection.status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer, Basic realm=\"rnn-gateway\"" }
            // What is left of a body that was not taken is not read to find the next request.
            if rejection.status != .serviceUnavailable || bodyBytes == 0 { response.headers[.connection] = "close" }
        } catch {
            // The connection broke, or its bytes are not HTTP.
            reasons = ["cannot read the body"]
            response = rejected(Rejection.bad("cannot read the body"))
            response.headers[.connection] = "close"
        }
        tally.record(
            door: door, identity: identity, agent: request.headers[.userAgent] ?? "", status: Int(response.status.code), bytes: bodyBytes,
            lines: receipt.lines, refused: receipt.refusedCount, skipped: receipt.skippedCount, reasons: reasons, at: Clocks.wall())
        return response
    }

    private func take(
        _ body: [UInt8], _ who: Identity, _ reservation: Reservation, _ decode: (UnsafeRawBufferPointer, inout LineBatch) throws -> Void
    ) async throws -> Receipt {
        var batch = LineBatch(decoration: who.decoration, bytesMax: settings.memoryBytesMax / 4)
        do { try body.withUnsafeBytes { try decode($0, &batch) } } catch let error as WireError { throw Rejection(error) }
        limits.limitStreams(&batch, who.token)
        if let seconds = limits.take(batch.lineCount, who.token, now: Clocks.monotonic()) {
            throw Rejection(
                status: .tooManyRequests,
                reason: "the token \(who.name) may send \(who.token?.readingsPerSecondMax ?? 0) readings a second",
                retryAfterSeconds: seconds)
        }
        guard reservation.grow(by: batch.bytes.count) else { throw Rejection.busy("too much is being received at this moment") }
        var refused: [Int: String] = [:]
        do { refused = try await store.store(batch.bytes, lines: batch.lineCount) } catch {
            switch error {
            case .busy(let reason), .late(let reason): throw Rejection.busy(reason, seconds: 2)
            }
        }
        var refusals = batch.refusals
        for (index, reason) in refused.sorted(by: { $0.key < $1.key }) {
            refusals.append(Refusal(place: Int(batch.places[index]), reason: reason))
        }
        refusals.sort { $0.place < $1.place }
        return Receipt(
            lines: batch.lineCount - refused.count, refusals: refusals, refusedCount: batch.refusedCount + refused.count,
            skippedCount: batch.skippedCount)
    }

    // MARK: - Bodies

    /// The body, decompressed: bounded in bytes and in time, its memory reserved before it is taken.
    private func body(_ request: Request, _ reservation: Reservation) async throws -> [UInt8] {
        let max = settings.bodyBytesMax
        if let declared = request.headers[.contentLength].flatMap({ Int($0) }), declared > max {
            throw Rejection(status: .contentTooLarge, reason: "got a body of \(declared) bytes, expected at most \(max)")
        }
        let encoding = (request.headers[.contentEncoding] ?? "identity").lowercased()
        guard ["identity", "", "gzip", "deflate", "snappy"].contains(encoding) else {
            throw Rejection(
                status: .unsupportedMediaType, reason: "got Content-Encoding \(encoding.prefix(40)), expected gzip, snappy or none")
        }
        let deadline = Clocks.monotonic() + settings.bodyTimeout
        var bytes: [UInt8] = []
        for try await part in request.body {
            guard bytes.count + part.readableBytes <= max else {
                throw Rejection(status: .contentTooLarge, reason: "got more than \(max) bytes, expected at most that")
            }
            guard reservation.grow(by: part.readableBytes) else { throw Rejection.busy("too much is being received at this moment") }
            guard Clocks.monotonic() < deadline else {
                throw Rejection(status: .requestTimeout, reason: "the body was not complete in \(settings.bodyTimeout / 1_000_000_000) s")
            }
            bytes.append(contentsOf: part.readableBytesView)
        }
        do { return try inflate(bytes, encoding, reservation) } catch let error as WireError { throw Rejection(error) }
    }

    private func inflate(_ bytes: [UInt8], _ encoding: String, _ reservation: Reservation) throws -> [UInt8] {
        let max = settings.inflatedBytesMax
        switch encoding {
        case "gzip", "deflate":
            if bytes.isEmpty { return [] }
            // Its size is known only afterwards: room for the usual factor is asked for, the bound holds in any case.
            guard reservation.grow(by: min(max, bytes.count * 10)) else {
                throw Rejection.busy("too much is being received at this moment")
            }
            return try bytes.withUnsafeBytes { try Inflate.decode($0, max: max) }
        case "snappy":
            let declared = try bytes.withUnsafeBytes { try SnappyBlock.declaredCount($0).count }
            guard declared <= max else { throw WireError.tooLarge(what: "snappy block", got: declared, max: max) }
            guard reservation.grow(by: declared) else { throw Rejection.busy("too much is being received at this moment") }
            return try bytes.withUnsafeBytes { try SnappyBlock.decode($0, max: max) }
        default: return bytes
        }
    }
}
