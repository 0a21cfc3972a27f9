// Moves bytes between a socket and handlers. Never waits for the socket.
#pragma once

#include <string>

#include "server/http/parser.h"

namespace depickle::server::http {

enum class Transfer {
  done,     ///< everything was moved
  blocked,  ///< the socket has no more bytes or takes no more; wait for it
  closed,   ///< the client has closed the connection
  again     ///< call again: the bytes of one turn were moved, or a signal interrupted the call
};

/// Appends up to `max_bytes` of the bytes that the socket has.
Transfer receive(int socket, std::string& input, size_t max_bytes, uint64_t& moved_bytes);
/// Passes the body to `receiver`: first `input`, then the bytes that the socket has. Bytes after the end of the body
/// stay in `input`.
Transfer receive_body(int socket, RequestParser& parser, std::string& input, Receiver& receiver, uint64_t& moved_bytes);
/// Sends the front of `output` and removes it. `more`: further bytes follow at once, so the last packet may wait for
/// them.
Transfer send(int socket, std::string_view& output, bool more, uint64_t& moved_bytes);
/// Sends the front of the range with sendfile(2) and removes it. Throws Error{truncated} if the file has become
/// shorter.
Transfer send_file(int socket, FileRange& range, uint64_t& moved_bytes);

/// Appends one block of a pulled body to `output` as a chunk. Returns false after the last, empty chunk.
bool pull_chunk(const Pull& pull, std::string& output);

}  // namespace depickle::server::http
