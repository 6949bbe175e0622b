import Glibc
import Platform
import Tabular

/// Asks a running daemon. Blocking; one request at a time.
public struct ControlClient: ~Copyable {
    private let socket: Descriptor
    private let path: String
    /// After so long without an answer the person in front of it is told what it waits for.
    private static let patienceMilliseconds: Int32 = 3000

    /// Connects. Errors say what to do about it.
    public init(path: String) throws(ControlError) {
        self.path = path
        do {
            socket = try UnixSocket.connect(path: path)
        } catch {
            switch error.code {
            case ENOENT: throw .unreachable("cannot reach the daemon: \(path) is not there; start it with: systemctl start rnn-watchd")
            case ECONNREFUSED:
                throw .unreachable("cannot reach the daemon: nobody serves \(path); start it with: systemctl start rnn-watchd")
            case EACCES, EPERM:
                throw .forbidden(
                    "cannot reach the daemon: permission denied for \(path); become root or join the group: sudo usermod -aG rnn-watchd $USER (then log in again)"
                )
            default: throw .unreachable("cannot reach the daemon: \(error)")
            }
        }
    }

    /// Sends a request and waits for its answer.
    /// - Parameter isPatient: it is known to take its time.
    public func ask(_ command: String, _ arguments: JSONValue = .object([]), isPatient: Bool = false) throws(ControlError) -> JSONValue {
        do {
            try writeAll(socket.raw, ControlProtocol.request(command, arguments), object: path)
        } catch {
            throw .unreachable("cannot ask the daemon: \(error)")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var isTold = isPatient
        while bytes.last != 10 {
            // systemd holds the socket, so that a question may come before the daemon is there.
            var waiting = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
            if !isTold, unsafe poll(&waiting, 1, ControlClient.patienceMilliseconds) == 0 {
                isTold = true
                FileOutput.error("waiting for the daemon; it may be restoring its state (see: systemctl status rnn-watchd)")
            }
            switch unsafe chunk.withUnsafeMutableBytes({ unsafe readOnce(socket.raw, into: $0) }) {
            case .bytes(let count): bytes += chunk[..<count]
            case .wouldBlock: continue
            case .endOfFile: throw .unreachable("the daemon closed the connection without an answer")
            case .failed(let code): throw .unreachable("cannot read the daemon's answer: \(PlatformError.text(code))")
            }
        }
        let answer: JSONValue
        do { answer = try JSONValue.parse(bytes) } catch { throw .failed("cannot read the daemon's answer: \(error)") }
        guard answer["v"]?.integerValue == ControlProtocol.version else {
            throw .failed(
                "the daemon speaks version \(answer["v"]?.compact ?? "?") of the control protocol, this program \(ControlProtocol.version)")
        }
        guard answer["ok"]?.truth == true, let result = answer["result"] else {
            throw .failed(answer["error"]?.text ?? "the daemon gave no reason")
        }
        return result
    }
}
