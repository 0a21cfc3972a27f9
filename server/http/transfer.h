// Moving bytes between a socket and handlers, without ever waiting for the socket. (Waiting is the server's.)
#pragma once

#include <string>

#include "server/http/parser.h"

namespace depickle::server::http {

/// What a transfer came to: it is done; the socket has or takes no more for now; its other end is gone; or it has moved
/// enough for one turn and can go on at once.
enum class Flow { done, blocked, gone, again };

/// Appends what the socket has, up to `most` bytes.
Flow receive(int socket, std::string& input, size_t most, uint64_t& moved);
/// Feeds the body to `receiver`: first `input`, then what the socket has. Bytes behind the body's end stay in `input`.
Flow receive_body(int socket, RequestParser& parser, std::string& input, Receiver& receiver, uint64_t& moved);
/// Sends the front of `output` and cuts it off. `more`: further bytes follow at once, so the last packet may wait for them.
Flow send(int socket, std::string_view& output, bool more, uint64_t& moved);
/// Sends the front of the range, by the kernel, and cuts it off. Throws Error{truncated} where the file has become shorter.
Flow send_file(int socket, FileRange& range, uint64_t& moved);

/// One block of a pulled body, framed as a chunk and appended to `output`; the last, empty one too, and then it is false.
bool pull_chunk(const Pull& pull, std::string& output);

}  // namespace depickle::server::http
