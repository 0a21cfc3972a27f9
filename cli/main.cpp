// `depickle`: the program without the server.
#include "cli/application.h"

int main(int count, char** words) { return depickle::cli::run_application(count, words, nullptr); }
