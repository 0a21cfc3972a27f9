// Files without a name, for bytes that are too many for the heap.
#pragma once

#include <functional>

namespace depickle::os {

/// The descriptor of an empty file, gone when it is closed. On the disk where there is a choice. Throws Error{io}.
int open_scratch_file();

/// Lets `make` open them from now on, for the whole process: one that may open no files gets them from another. To be called
/// before there are threads.
void set_scratch_files(std::function<int()> make);

}  // namespace depickle::os
