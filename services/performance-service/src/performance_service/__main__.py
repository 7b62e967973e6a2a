"""`python -m performance_service api | worker | all | migrate | …`"""

import sys

from performance_service.app import app

if __name__ == "__main__":
    sys.exit(app.main(sys.argv[1:]))
