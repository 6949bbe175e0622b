import Control
import Glibc
import NIOPosix
import Platform
import Tabular

/// Why a question got no answer.
public enum ControlFailure: Error, Sendable, Equatable, CustomStringConvertible {
    case unreachable(String)
    /// The daemon's own words.
    case refused(String)
    public var description: String {
        switch self {
        case .unreachable(let text): "the daemon cannot be asked: \(text)"
        case .refused(let text): text
        }
    }
}

/// Asks the daemon.
public protocol ControlPort: Sendable {
    func ask(_ command: String, _ arguments: JSONValue) async throws(ControlFailure) -> JSONValue
}

extension ControlPort {
    func ask(_ command: String) async throws(ControlFailure) -> JSONValue { try await ask(command, .object([JSONValue.Member]())) }
}

/// The control socket: one connection a question, at most a few at the same time, each bounded in time and bytes.
public final class ControlSocket: ControlPort {
    private let path: String
    private let pool: NIOThreadPool
    static let answerBytesMax = 32 << 20
    static let timeoutSeconds = 15

    public init(path: String) {
        self.path = path
        pool = NIOThreadPool(numberOfThreads: 4)
        pool.start()
    }

    public func ask(_ command: String, _ arguments: JSONValue) async throws(ControlFailure) -> JSONValue {
        let result: Result<JSONValue, ControlFailure>
        do {
            result = try await pool.runIfActive { [path] in
                do throws(ControlFailure) { return .success(try ControlSocket.question(path, command, arguments)) } catch {
                    return .failure(error)
                }
            }
        } catch { throw .unreachable("the gateway stops") }
        return try result.get()
    }

    private static func question(_ path: String, _ command: String, _ arguments: JSONValue) throws(ControlFailure) -> JSONValue {
        var bytes: [UInt8] = []
        do {
            let socket = try UnixSocket.connect(path: path)
            var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
            setsockopt(socket.raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(socket.raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            try writeAll(socket.raw, ControlProtocol.request(command, arguments), object: path)
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            while bytes.last != 10 {
                switch chunk.withUnsafeMutableBytes({ readOnce(socket.raw, into: $0) }) {
                case .bytes(let count): bytes += chunk[..<count]
                case .wouldBlock: throw ControlFailure.unreachable("no answer in \(timeoutSeconds) s")
                case .endOfFile: throw ControlFailure.unreachable("it closed the connection")
                case .failed(let code): throw ControlFailure.unreachable(String(cString: strerror(code)))
                }
                guard bytes.count <= answerBytesMax else {
                    throw ControlFailure.unreachable("an answer of more than \(answerBytesMax) bytes")
                }
            }
        } catch let error as ControlFailure { throw error } catch { throw .unreachable("\(error)") }
        guard let answer = try? JSONValue.parse(bytes), answer["v"]?.integerValue == ControlProtocol.version else {
            throw .unreachable("it speaks another protocol")
        }
        guard answer["ok"]?.truth == true, let result = answer["result"] else {
            throw .refused(answer["error"]?.text ?? "the daemon gave no reason")
        }
        return result
    }
}
