import Glibc
import LineFormats
import Platform
import Readings
import TimeSeries

/// Where readings come from.
public enum IngestSource: Sendable {
    /// A listening stream socket.
    case listener(Int32, name: String)
    /// A datagram socket.
    case datagram(Int32, name: String)
    /// A client that the process before us served.
    case client(OpenClient)
    /// A file or pipe that is read to its end; the server ends with the last of these.
    case file(Int32, name: String)
}

/// A refused line, for people.
public struct Refusal: Sendable, Equatable {
    /// Wall time (nanoseconds since 1970).
    public var time: Int64
    /// `stdin`, `ingest.sock process 123`, ...
    public var source: String
    /// Number of the line in its source, from 1.
    public var line: Int64
    /// Column, what was got, what was expected.
    public var text: String
}

/// What the ingest thread shows to others.
public struct IngestSnapshot: Sendable {
    public var totals = IngestTotals()
    public var streams = 0
    public var connections = 0
    /// Clients by user, as of the last second.
    public var peers: [PeerCount] = []
    /// Since the start: clients closed because others wanted in, clients turned away, times without a descriptor, names forgotten for room.
    public var madeRoom: Int64 = 0
    public var turnedAway: Int64 = 0
    public var descriptorsOut: Int64 = 0
    public var producersEvicted: Int64 = 0
    /// The newest refusals, oldest first.
    public var refusals: [Refusal] = []
    /// Monotonic time of the last round; the watchdog looks at it.
    public var aliveAt: Int64 = 0
}

/// What a reload may change for the intake.
public struct IntakeRules: Sendable {
    public var limits: IntakeLimits
    /// By a stream's canonical key.
    public var isIgnored: @Sendable (String) -> Bool
    public var budgetGroup: @Sendable (String) -> UInt16
    /// Zones, and a stream's place among them.
    public var zones: [TimeZoneRules]
    public var zone: @Sendable (String) -> UInt8
    public var sources: [SourceRule]
    /// What values of a stream's channels may be.
    public var checks: @Sendable (String) -> (@Sendable (String) -> ChannelCheck?)? = { _ in nil }
    /// How late readings of a stream may come.
    public var lateMax: @Sendable (String) -> Int64 = { _ in 0 }
    /// Canonical keys of the streams that are known.
    public var keys: [UInt32: String]

    public init(
        limits: IntakeLimits, isIgnored: @escaping @Sendable (String) -> Bool, budgetGroup: @escaping @Sendable (String) -> UInt16,
        zones: [TimeZoneRules] = [.utc], zone: @escaping @Sendable (String) -> UInt8 = { _ in 0 }, sources: [SourceRule] = [],
        keys: [UInt32: String]
    ) {
        (self.limits, self.isIgnored, self.budgetGroup) = (limits, isIgnored, budgetGroup)
        (self.zones, self.zone, self.sources, self.keys) = (zones, zone, sources, keys)
    }
}

public struct IngestOptions: Sendable {
    /// What the configuration says about senders that name streams in their own way.
    public var sources: [SourceRule] = []
    public var intake = IntakeLimits()
    public var lineBytesMax = 64 << 10
    public var connectionsMax = 256
    /// A client silent for this long (nanoseconds) makes room when others want in.
    public var silentEnough: Int64 = 10_000_000_000
    /// Names of each user's clients that number their lines.
    public var producersMax = 1000
    /// Descriptors that this process may have, and how many of them clients leave to others; 0: not known.
    public var descriptorsMax = 0
    public var descriptorsKept = 12
    /// Nanoseconds; 0: never.
    public var connectionIdleMax: Int64 = 0
    /// How CSV in a file source is read, where its first lines do not say.
    public var csv = CSVOptions()
    /// A file source is CSV, whatever its first line looks like.
    public var isCSV = false
    /// Whether a file source may start with a CSV header.
    public var sniffsCSV = true
    /// Whether clients that are connected at the end are left in `handedOver` instead of being closed.
    public var handsOverClients = false

    public init() {}
}

/// The thread that owns all sources: reads, cuts lines, parses, and hands batches on.
///
/// A client that wants acknowledgements sends `#!producer NAME` as its first line and hears `ok SEQUENCE`: so many of its
/// lines are stored. Lines are numbered from that number plus one; after a reconnect it goes on from the number in the
/// answer, and what it sends again is recognised and dropped. `refused SEQUENCE why` tells about a bad line.
public final class IngestServer: @unchecked Sendable {
    // Safety: `snapshot`, `inbox` and `durable` are locked; everything else belongs to the thread in `run`.

    enum Command: Sendable {
        case stop
        case report(kind: String, reason: String?, at: Int64)
        case models([ModelAssignment], at: Int64)
        case forget(ProducerName, BoundedQueue<Bool>)
        case acts([IntakeAct], number: Int64, at: Int64)
        case rules(IntakeRules, open: [UInt32], at: Int64)
    }

    public let snapshot = Locked(IngestSnapshot())
    /// After `run`: the clients that were still connected, when the options ask for them. Whoever takes them closes them.
    public let handedOver = Locked<[OpenClient]>([])
    private let isInputTold = Locked(false)
    private let inbox = Locked<[Command]>([])
    private let durable = Locked<[Acknowledgement]>([])
    private let wakeup: Wakeup
    private let log: Log
    private let options: IngestOptions

    public init(options: IngestOptions, log: Log) throws(PlatformError) {
        self.options = options
        self.log = log
        wakeup = try Wakeup()
    }

    /// Stops reading, takes what is already in its buffers, and returns from `run`.
    public func stop() { send(.stop) }
    /// Notes a condition of the daemon itself in the log of batches (nil: it is over); `at`: wall time.
    public func report(_ kind: String, reason: String?, at: Int64) { send(.report(kind: kind, reason: reason, at: at)) }
    /// Puts into the log of batches which models run from here on; `at`: wall time.
    public func assign(_ models: [ModelAssignment], at: Int64) { send(.models(models, at: at)) }
    /// Forgets a client that numbers its lines. false: it is not known; nil: the ingest thread is too busy to answer.
    public func forget(_ name: ProducerName, timeoutSeconds: Int64 = 10) -> Bool? {
        let answers = BoundedQueue<Bool>(capacity: 1)
        send(.forget(name, answers))
        return answers.pop(timeoutNanoseconds: timeoutSeconds * 1_000_000_000)
    }
    /// Takes over reloaded limits and what the configuration says about streams. `open`: streams with open alerts, which end where the stream is
    /// ignored now; `at`: wall time.
    public func reload(_ rules: IntakeRules, open: [UInt32], at: Int64) { send(.rules(rules, open: open, at: at)) }
    /// Puts what a person did into the log of batches, together; acknowledged as `number` when it is stored (0: nobody waits). `at`: wall time.
    public func act(_ acts: [IntakeAct], number: Int64, at: Int64) { send(.acts(acts, number: number, at: at)) }
    /// The alert about lines that cannot be read is open since before the start.
    public func restoreInput() { isInputTold.withLock { $0 = true } }

    /// Tells clients that their lines are stored. Called by the writer.
    public func acknowledge(_ acknowledgements: [Acknowledgement]) {
        guard !acknowledgements.isEmpty else { return }
        durable.withLock { $0 += acknowledgements }
        wakeup.signal()
    }

    private func send(_ command: Command) {
        inbox.withLock { $0.append(command) }
        wakeup.signal()
    }

    /// Serves until stopped, or until all files ended when there is nothing else.
    /// - Parameter producers: every client that numbers its lines.
    public func run(sources: [IngestSource], intake: consuming Intake, producers: [ProducerRecord]) throws(PlatformError) {
        let loop = try IngestLoop(options: options, log: log, producers: producers)
        try loop.open(sources, wakeup: wakeup)
        if isInputTold.withLock({ $0 }) { loop.restoreInput() }
        var intake = intake
        // What was ordered before the start comes before the first line.
        var isStopping = obey(&intake, loop)
        while !isStopping && !loop.isDone {
            loop.round(&intake)
            isStopping = obey(&intake, loop)
            loop.answer(
                durable.withLock { waiting in
                    defer { waiting.removeAll(keepingCapacity: true) }
                    return waiting
                })
            publish(loop, intake)
        }
        let clients = loop.finish(&intake)
        handedOver.withLock { $0 = clients }
        publish(loop, intake)
    }

    /// Does what others ordered. true: it is time to stop.
    private func obey(_ intake: inout Intake, _ loop: IngestLoop) -> Bool {
        var isStopping = false
        for command in inbox.withLock({ commands in
            defer { commands.removeAll() }
            return commands
        }) {
            switch command {
            case .stop: isStopping = true
            case .report(let kind, let reason, let at): intake.report(kind, reason: reason, now: at)
            case .models(let models, let at): intake.assign(models, now: at)
            case .forget(let name, let answers): answers.push(loop.forget(name))
            case .acts(let acts, let number, let at): intake.act(acts, number: number, now: at)
            case .rules(let rules, let open, let at):
                // The batches of the shards of the start are under way.
                let shards = intake.limits.shards
                intake.limits = rules.limits
                intake.limits.shards = shards
                intake.isIgnored = rules.isIgnored
                intake.budgetGroup = rules.budgetGroup
                (intake.zones, intake.zone) = (rules.zones, rules.zone)
                loop.sources = rules.sources
                intake.checks = rules.checks
                intake.lateMax = rules.lateMax
                intake.refreshIgnored { rules.keys[$0] }
                intake.settleIgnored(among: open, now: at)
            }
        }
        return isStopping
    }

    private func publish(_ loop: IngestLoop, _ intake: borrowing Intake) {
        snapshot.withLock { snapshot in
            snapshot.totals = intake.totals
            snapshot.streams = intake.streamCount
            snapshot.connections = loop.connectionCount
            snapshot.peers = loop.peers.published
            (snapshot.madeRoom, snapshot.turnedAway) = (loop.peers.madeRoom, loop.peers.turnedAway)
            (snapshot.descriptorsOut, snapshot.producersEvicted) = (loop.peers.descriptorsOut, loop.producers.evictions)
            snapshot.refusals = loop.refusals
            snapshot.aliveAt = Clocks.monotonic()
        }
    }
}
